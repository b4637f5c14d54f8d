//! A store behind plain HTTP, as ESO's `webhook` provider reads it: a JSON document for each path.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header::AUTHORIZATION},
    response::{IntoResponse as _, Response},
};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::{lock, port};

/// A running store; it stops when dropped.
pub struct Documents {
    url: String,
    shelf: Shelf,
    _running: AbortOnDropHandle<()>,
}

type Shelf = Arc<Mutex<Content>>;

#[derive(Default)]
struct Content {
    /// By path, decoded and without its first slash.
    documents: BTreeMap<String, Value>,
    reads: BTreeMap<String, usize>,
    /// What the last reader proved itself with.
    authorization: Option<String>,
    fails: bool,
}

impl Documents {
    pub async fn start() -> anyhow::Result<Self> {
        let shelf = Shelf::default();
        let routes = Router::new().fallback(read).with_state(shelf.clone());
        let (url, running) = port::serve(routes).await?;
        Ok(Self {
            url,
            shelf,
            _running: running,
        })
    }

    /// Where it listens, without a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The value of a key of [`Documents::provider`].
    pub fn set(&self, key: &str, value: &str) {
        self.set_document(key, json!({ "value": value }));
    }

    /// The document at a path, which is written without its first slash and not escaped.
    pub fn set_document(&self, path: &str, document: Value) {
        lock(&self.shelf).documents.insert(path.into(), document);
    }

    /// Answers 500 from now on, or no longer.
    pub fn set_failing(&self, fails: bool) {
        lock(&self.shelf).fails = fails;
    }

    /// How often any document has been asked for.
    pub fn reads(&self) -> usize {
        lock(&self.shelf).reads.values().sum()
    }

    /// How often this one has been asked for.
    pub fn reads_of(&self, path: &str) -> usize {
        let content = lock(&self.shelf);
        content.reads.get(path).copied().unwrap_or_default()
    }

    /// The header `Authorization` of the last request that had one.
    pub fn authorization(&self) -> Option<String> {
        lock(&self.shelf).authorization.clone()
    }

    /// `spec.provider` of a store that reads from here.
    pub fn provider(&self) -> Value {
        json!({ "webhook": {
            "url": format!("{}/{{{{ .remoteRef.key }}}}", self.url),
            "result": { "jsonPath": "$.value" },
        } })
    }
}

async fn read(State(shelf): State<Shelf>, uri: Uri, headers: HeaderMap) -> Response {
    let path = percent_decode_str(uri.path()).decode_utf8_lossy();
    let path = path.strip_prefix('/').unwrap_or(&path);
    let mut content = lock(&shelf);
    *content.reads.entry(path.to_owned()).or_default() += 1;
    let authorization = headers.get(AUTHORIZATION);
    if let Some(said) = authorization.and_then(|value| value.to_str().ok()) {
        content.authorization = Some(said.to_owned());
    }
    if content.fails {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    match content.documents.get(path) {
        Some(document) => document.to_string().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
