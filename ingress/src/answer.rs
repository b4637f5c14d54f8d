//! Answers. Each is there as a whole.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

pub(crate) type Response = http::Response<Full<Bytes>>;

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut answer = Response::default();
    *answer.status_mut() = status;
    answer
}

pub(crate) fn text(status: StatusCode, text: &'static str) -> Response {
    typed(status, "text/plain; charset=utf-8", text.into())
}

pub(crate) fn json(status: StatusCode, answer: &impl Serialize) -> Response {
    // OK because answers are structs of strings.
    let text = serde_json::to_vec(answer).expect("an answer is always JSON");
    typed(status, "application/json", text.into())
}

fn typed(status: StatusCode, kind: &'static str, body: Bytes) -> Response {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}
