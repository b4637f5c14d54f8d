//! One request from its arrival to its answer, faults included.

use std::{io, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use eso_relay::command::clock;
use futures::stream;
use http::{StatusCode, header, request::Parts};
use http_body_util::BodyExt;
use serde_json::{Map, Value};

use super::{
    Shared,
    call::{Call, Verb},
    discovery::discover,
    failure::Failure,
    fault::Effect,
    read,
    watch::watch,
    write,
};

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new().fallback(answer).with_state(shared)
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(document) = discover(parts.uri.path(), shared.serving()) {
        return json(StatusCode::OK, document.to_string());
    }
    let call = match Call::parse(&parts, shared.serving()) {
        Ok(call) => call,
        Err(failure) => return failure.into_response(),
    };
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Failure::bad_request(error.to_string()).into_response(),
    };
    let _under_way = shared.requests.begin(&call);
    let perform = || perform(&shared, &call, &parts, &body);
    let response = match shared.faults.meet(&call) {
        None => perform(),
        Some((
            Effect::Status {
                code,
                retry_after_seconds,
            },
            _,
        )) => refuse(&call, code, retry_after_seconds),
        Some((Effect::Hang, lifted)) => {
            lifted.cancelled().await;
            perform()
        }
        Some((Effect::Unanswered, lifted)) => {
            let answer = perform();
            lifted.cancelled().await;
            answer
        }
        Some((Effect::Slow(by), _)) => {
            tokio::time::sleep(by).await;
            perform()
        }
        Some((Effect::Disconnect, _)) => break_off(perform()),
    };
    shared.requests.answered(&call, response.status().as_u16());
    response
}

fn perform(shared: &Arc<Shared>, call: &Call, parts: &Parts, body: &Bytes) -> Response {
    let objects = &shared.objects;
    let answer = match call.verb {
        Verb::Watch => return watch(shared, call).unwrap_or_else(IntoResponse::into_response),
        Verb::Get => read::get(objects, call).map(|object| (StatusCode::OK, object)),
        Verb::List => read::list(objects, call).map(|list| (StatusCode::OK, list)),
        Verb::Create => takes_only("application/json", parts)
            .and_then(|()| write::create(objects, call, body, clock()))
            .map(|object| (StatusCode::CREATED, object)),
        Verb::Patch => patch(shared, call, parts, body).map(|object| (StatusCode::OK, object)),
        Verb::Delete => write::delete(objects, call).map(|status| (StatusCode::OK, status)),
    };
    match answer {
        Ok((code, body)) => json(code, body),
        Err(failure) => failure.into_response(),
    }
}

fn patch(shared: &Shared, call: &Call, parts: &Parts, body: &[u8]) -> Result<String, Failure> {
    takes_only("application/merge-patch+json", parts)?;
    let patch: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| Failure::bad_request(error.to_string()))?;
    let (object, changed) = write::patch(&shared.objects, call, &patch)?;
    shared.requests.patched(call, &patch, changed);
    Ok(object)
}

fn takes_only(content_type: &str, parts: &Parts) -> Result<(), Failure> {
    match parts.headers.get(header::CONTENT_TYPE) {
        Some(value) if value == content_type => Ok(()),
        _ => Err(Failure::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("the stand-in takes {content_type} only"),
        )),
    }
}

fn refuse(call: &Call, code: StatusCode, retry_after_seconds: Option<u32>) -> Response {
    let failure = match code {
        StatusCode::FORBIDDEN => Failure::forbidden(call),
        StatusCode::NOT_FOUND => Failure::not_found(call),
        _ => Failure::about(code, call, "a fault that was asked for"),
    };
    match retry_after_seconds {
        Some(seconds) => failure.retry_after(seconds).into_response(),
        None => failure.into_response(),
    }
}

/// The status and the first byte of the body, then the end of the connection.
fn break_off(response: Response) -> Response {
    let (parts, _) = response.into_parts();
    let beginning = [
        Ok(Bytes::from_static(b"{")),
        Err(io::Error::other("broken off, as was asked for")),
    ];
    Response::from_parts(parts, Body::from_stream(stream::iter(beginning)))
}

fn json(code: StatusCode, body: String) -> Response {
    (code, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
