//! A store behind plain HTTP, as ESO's `webhook` provider reads it: a JSON document for each key.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::lock;

/// A running store; it stops when dropped.
pub struct Documents {
    url: String,
    shelf: Shelf,
    _running: AbortOnDropHandle<()>,
}

type Shelf = Arc<Mutex<Content>>;

#[derive(Default)]
struct Content {
    values: BTreeMap<String, String>,
    reads: usize,
    fails: bool,
}

impl Documents {
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shelf = Shelf::default();
        let router = Router::new()
            .route("/{key}", get(read))
            .with_state(shelf.clone());
        let serve = async move {
            // An error only says that the listener is gone, and the test with it.
            axum::serve(listener, router).await.ok();
        };
        Ok(Self {
            url,
            shelf,
            _running: AbortOnDropHandle::new(tokio::spawn(serve)),
        })
    }

    pub fn set(&self, key: &str, value: &str) {
        lock(&self.shelf).values.insert(key.into(), value.into());
    }

    /// Answers 500 from now on, or no longer.
    pub fn set_failing(&self, fails: bool) {
        lock(&self.shelf).fails = fails;
    }

    /// How often any document has been asked for.
    pub fn reads(&self) -> usize {
        lock(&self.shelf).reads
    }

    /// `spec.provider` of a store that reads from here.
    pub fn provider(&self) -> Value {
        json!({ "webhook": {
            "url": format!("{}/{{{{ .remoteRef.key }}}}", self.url),
            "result": { "jsonPath": "$.value" },
        } })
    }
}

async fn read(State(shelf): State<Shelf>, Path(key): Path<String>) -> Response {
    let mut content = lock(&shelf);
    content.reads += 1;
    if content.fails {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    match content.values.get(&key) {
        Some(value) => json!({ "value": value }).to_string().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
