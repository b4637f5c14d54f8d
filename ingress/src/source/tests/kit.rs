//! A body goes in, what stands in the stream comes out.

use eso_relay::event::{decode_batch, encode_batch};
use futures::executor::block_on;
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::source::*;
use crate::verify::{Basic, Credentials, Request};

/// A source as the configuration makes it; every sender is admitted.
pub(crate) fn source(config: &Value) -> Source {
    let mut config = config.clone();
    config["name"] = json!("tested");
    config["auth"] = json!({ "basic": { "username": "eso", "password_file": [] } });
    let config: SourceConfig = serde_json::from_value(config).unwrap();
    let scheme = open_door();
    config.open_with(scheme).unwrap()
}

pub(super) fn open_door() -> Scheme {
    let password = Credentials::fixed("hunter2".to_owned().into());
    Scheme::Basic(Basic::new("eso".to_owned(), password))
}

pub(super) fn verified(body: &[u8]) -> Verified {
    let mut headers = HeaderMap::new();
    headers.insert(
        "authorization",
        HeaderValue::from_static("Basic ZXNvOmh1bnRlcjI="),
    );
    let body = body.to_vec().into();
    let request = Request {
        headers: &headers,
        query: None,
        certificate: None,
        now: Timestamp::UNIX_EPOCH,
    };
    let verified = async { open_door().admit(&request).await?.verify(body).await };
    block_on(verified).unwrap()
}

/// Everything that a body is taken for.
pub(super) fn content(
    source: &Source,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Content, DecodeError> {
    let headers = headers.iter().map(|(name, value)| {
        (
            name.parse::<HeaderName>().unwrap(),
            HeaderValue::from_str(value).unwrap(),
        )
    });
    let delivery = Delivery {
        headers: &headers.collect(),
        received_at: "2026-08-08T12:00:01.234Z".parse().unwrap(),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            .parse()
            .unwrap(),
        tracestate: None,
    };
    source.decode(&verified(body), &delivery)
}

/// The events of a body that is not a handshake.
pub(super) fn decode_with(
    source: &Source,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Vec<Event>, DecodeError> {
    match content(source, headers, body)? {
        Content::Events { events, .. } => Ok(events),
        Content::Handshake(handshake) => panic!("{handshake:?}"),
    }
}

pub(super) fn decode(config: &Value, body: &[u8]) -> Result<Vec<Event>, DecodeError> {
    decode_with(&source(config), &[], body)
}

/// What is wrong with the elements of a body that cannot be read; at least one other can.
pub(super) fn left_out(config: &Value, headers: &[(&str, &str)], body: &[u8]) -> Vec<String> {
    match content(&source(config), headers, body).unwrap() {
        Content::Events {
            events, malformed, ..
        } => {
            assert_ne!(events, []);
            malformed.into_iter().map(|(_, what)| what).collect()
        }
        Content::Handshake(handshake) => panic!("{handshake:?}"),
    }
}

/// Why the elements of a body are no events; there is none that is.
pub(super) fn ignored(config: &Value, headers: &[(&str, &str)], body: &[u8]) -> Vec<&'static str> {
    match content(&source(config), headers, body).unwrap() {
        Content::Events {
            events, ignored, ..
        } => {
            assert_eq!(events, []);
            ignored
                .into_iter()
                .map(|(_, reason)| reason.reason())
                .collect()
        }
        Content::Handshake(handshake) => panic!("{handshake:?}"),
    }
}

/// What stands in the stream: read back as a consumer does, and free of what must not be there.
pub(super) fn on_the_wire(events: &[Event]) -> Value {
    let batch = encode_batch(events);
    let decoded: Vec<Event> = decode_batch(&batch)
        .unwrap()
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(decoded, events);
    let text = std::str::from_utf8(&batch).unwrap();
    assert!(
        !text.contains("do-not-leak") && !text.contains('@'),
        "{text}"
    );
    serde_json::from_slice(&batch).unwrap()
}

/// An id that is new for each delivery begins with the milliseconds of `received_at`; the rest is random.
pub(super) fn redact(mut batch: Value) -> Value {
    for event in batch.as_array_mut().unwrap() {
        let id = event["id"].as_str().unwrap();
        let (fresh, rest) = id
            .split_once('/')
            .map_or((id, ""), |(fresh, rest)| (fresh, rest));
        if fresh.len() == 44 && fresh.starts_with("19fe13e8ed2-") {
            event["id"] = json!(format!("[fresh]/{rest}"));
        }
    }
    batch
}

/// What the events look like in the stream, as a snapshot.
macro_rules! assert_events {
    ($name:literal, $events:expr) => {
        insta::assert_json_snapshot!(
            $name,
            crate::source::tests::kit::redact(crate::source::tests::kit::on_the_wire(
                &$events.unwrap()
            ))
        );
    };
}
pub(super) use assert_events;
