//! Answers. Each is there as a whole.

use axum::body::Body;
pub(crate) use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut answer = Response::default();
    *answer.status_mut() = status;
    answer
}

pub(crate) fn json(status: StatusCode, answer: &impl Serialize) -> Response {
    // OK because answers are structs of strings.
    let text = serde_json::to_vec(answer).expect("an answer is always JSON");
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}
