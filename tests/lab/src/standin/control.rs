//! `/_standin/…`: the faults and counts over HTTP, for whoever steers from another process.
//!
//! | request | what it does |
//! |---|---|
//! | `GET /_standin/faults` | the faults in force |
//! | `POST /_standin/faults` | `{"on": {"verb": "patch", "kind": "ExternalSecret"}, "effect": {"status": {"code": 429, "retry_after_seconds": 7}}, "times": {"next": 3}}`; `times` is `"all"` when left out |
//! | `DELETE /_standin/faults`, `…/{id}` | lifts all, or one |
//! | `POST /_standin/watches/expire`, `…/close` | 410, or the end, for every open watch |
//! | `POST /_standin/away`, `…/back` | refuses connections to the API, and accepts them again |
//! | `GET /_standin/counts` | answered requests |
//! | `GET /_standin/patches/{namespace}/{name}` | refreshes patched, with how long ago |

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{
    Shared,
    answer::json as answer,
    failure::Failure,
    fault::{Effect, FaultId, On, Times},
    listener::Gate,
};

#[derive(Clone)]
struct Control {
    shared: Arc<Shared>,
    gate: Gate,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    #[serde(default)]
    on: On,
    effect: Effect,
    times: Option<Times>,
}

pub(super) fn routes(shared: Arc<Shared>, gate: Gate) -> Router {
    Router::new()
        .route("/_standin/faults", get(list).post(inject).delete(clear))
        .route("/_standin/faults/{id}", delete(lift))
        .route("/_standin/watches/expire", post(expire))
        .route("/_standin/watches/close", post(close))
        .route("/_standin/away", post(away))
        .route("/_standin/back", post(back))
        .route("/_standin/counts", get(counts))
        .route("/_standin/patches/{namespace}/{name}", get(patches))
        .with_state(Control { shared, gate })
}

async fn list(State(control): State<Control>) -> Response {
    let faults = control.shared.faults.list();
    let faults: Vec<_> = faults
        .iter()
        .map(|(id, on, effect, times)| json!({ "id": id, "on": on, "effect": effect, "times": times }))
        .collect();
    answer(StatusCode::OK, json!(faults).to_string())
}

async fn inject(State(control): State<Control>, body: Bytes) -> Response {
    match serde_json::from_slice::<Fault>(&body) {
        Ok(Fault { on, effect, times }) => {
            let id = control
                .shared
                .faults
                .inject(on, effect, times.unwrap_or(Times::All));
            answer(StatusCode::CREATED, json!({ "id": id }).to_string())
        }
        Err(error) => Failure::bad_request(error.to_string()).into_response(),
    }
}

async fn clear(State(control): State<Control>) -> StatusCode {
    control.shared.faults.clear();
    StatusCode::NO_CONTENT
}

async fn lift(State(control): State<Control>, Path(id): Path<FaultId>) -> StatusCode {
    control.shared.faults.lift(id);
    StatusCode::NO_CONTENT
}

async fn expire(State(control): State<Control>) -> StatusCode {
    control.shared.objects.expire();
    StatusCode::NO_CONTENT
}

async fn close(State(control): State<Control>) -> StatusCode {
    control.shared.objects.close_watches();
    StatusCode::NO_CONTENT
}

/// To be asked on the control address: on the API's own, the answer goes away with the connection.
async fn away(State(control): State<Control>) -> Response {
    turned(control.gate.close().await)
}

async fn back(State(control): State<Control>) -> Response {
    turned(control.gate.open().await)
}

fn turned(outcome: std::io::Result<()>) -> Response {
    match outcome {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => {
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        }
    }
}

async fn counts(State(control): State<Control>) -> Response {
    let counts = control.shared.requests.counts();
    let counts: Vec<_> = counts
        .iter()
        .map(|((verb, kind, code), count)| json!({ "verb": verb, "kind": kind, "code": code, "count": count }))
        .collect();
    answer(StatusCode::OK, json!(counts).to_string())
}

async fn patches(
    State(control): State<Control>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    let requests = &control.shared.requests;
    let patches: Vec<_> = requests
        .patches(&namespace, &name)
        .iter()
        .map(|patch| {
            json!({
                "value": patch.value,
                "fieldManager": patch.field_manager,
                "changed": patch.changed,
                "secondsAgo": patch.at.elapsed().as_secs_f64(),
            })
        })
        .collect();
    let most = requests.most_in_flight(&namespace, &name);
    answer(
        StatusCode::OK,
        json!({ "patches": patches, "mostInFlight": most }).to_string(),
    )
}
