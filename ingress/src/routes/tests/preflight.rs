use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;
use serde_json::json;

use super::*;
use crate::{
    SourceConfig,
    outgoing::{Outgoing, OutgoingConfig},
};

const SECRET_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/routes/tests/secret");
const SECRET: &str = "do-not-leak";
const GRID: &str = "/v1/hooks/grid?code=do-not-leak";
const EVENTS: &str = "/v1/hooks/events";

fn tested() -> Tested {
    let query = json!({ "header": { "query": "code", "value_file": SECRET_FILE } });
    let signed = json!({ "hmac-sha256": { "header": "x-signature", "encoding": "base64", "secret_file": SECRET_FILE } });
    let sources = [
        ("grid", "azure-event-grid", query),
        ("events", "cloudevents", signed),
    ];
    let outgoing = Outgoing::new(&OutgoingConfig::default()).unwrap();
    let sources = sources.map(|(name, format, auth)| {
        let config = json!({ "name": name, "format": format, "auth": auth });
        let config: SourceConfig = serde_json::from_value(config).unwrap();
        (config.name.clone(), config.open(&outgoing).unwrap())
    });
    serving(BTreeMap::from(sources), None)
}

fn options(path: &str, origins: &[&[u8]]) -> Request<Body> {
    let mut request = request(Method::OPTIONS, path, None, "");
    for origin in origins {
        let origin = HeaderValue::from_bytes(origin).unwrap();
        request
            .headers_mut()
            .append("webhook-request-origin", origin);
    }
    request
}

/// With the signature of this body, and another body that is not read.
fn signed(mut request: Request<Body>, body: &[u8]) -> Request<Body> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, body);
    let tag = STANDARD.encode(tag);
    request
        .headers_mut()
        .insert("x-signature", tag.parse().unwrap());
    *request.body_mut() = Body::from_stream(stream::poll_fn(
        |_| -> std::task::Poll<Option<Result<&str, std::io::Error>>> {
            panic!("the body was read")
        },
    ));
    request
}

#[tokio::test]
async fn a_sender_that_asks_and_proves_itself_may_send() {
    let tested = tested();
    for (request, origin) in [
        (
            options(GRID, &[b"eventgrid.azure.net"]),
            "eventgrid.azure.net",
        ),
        (
            signed(options(EVENTS, &[b"Events.example-1.com"]), b""),
            "Events.example-1.com",
        ),
    ] {
        let (status, headers, body) = send(&tested, request).await;
        assert_eq!((status, body), (StatusCode::OK, Value::Null), "{origin}");
        assert_eq!(headers["webhook-allowed-origin"], origin);
        assert_eq!(headers["webhook-allowed-rate"], "*");
        assert_eq!(headers["allow"], "POST");
    }
    assert!(tested.recorder.events.lock().unwrap().is_empty());
    let text = eso_relay::metrics::text(&tested.registry).unwrap();
    assert!(
        text.contains(r#"webhooks_total{source="grid",result="handshake"} 1"#),
        "{text}"
    );
}

#[tokio::test]
async fn nobody_else_is_told_that_it_may() {
    let grid: &[u8] = b"eventgrid.azure.net";
    let events = |origins: &[&[u8]]| signed(options(EVENTS, origins), b"");
    for (request, status, code) in [
        (options("/v1/hooks/unknown", &[grid]), 404, "not_found"),
        (options("/v1/hooks/%ff", &[grid]), 404, "not_found"),
        (options("/v1/hooks/grid", &[grid]), 401, "unauthorized"),
        (
            options("/v1/hooks/grid?code=wrong", &[grid]),
            401,
            "unauthorized",
        ),
        (
            options("/v1/hooks/grid?code=wrong", &[]),
            401,
            "unauthorized",
        ),
        (options(EVENTS, &[grid]), 401, "unauthorized"),
        (
            signed(options(EVENTS, &[grid]), b"a body"),
            401,
            "unauthorized",
        ),
        (options(GRID, &[]), 403, "origin"),
        (options(GRID, &[b"example.com"]), 403, "origin"),
        (options(GRID, &[b"a.eventgrid.azure.net"]), 403, "origin"),
        (options(GRID, &[b"*"]), 403, "origin"),
        (options(GRID, &[grid, grid]), 403, "origin"),
        (events(&[]), 403, "origin"),
        (events(&[b""]), 403, "origin"),
        (events(&[b"*"]), 403, "origin"),
        (events(&[b"a.com, b.com"]), 403, "origin"),
        (events(&[b"https://a.com"]), 403, "origin"),
        (events(&[b"a.com\tb"]), 403, "origin"),
        (events(&[b"\xff.com"]), 403, "origin"),
        (events(&["a".repeat(256).as_bytes()]), 403, "origin"),
    ] {
        let shown = format!("{} {:?}", request.uri(), request.headers());
        let (found, headers, body) = send(&tested(), request).await;
        let found = (found.as_u16(), body["code"].as_str());
        assert_eq!(found, (status, Some(code)), "{shown}");
        assert!(!headers.contains_key("webhook-allowed-origin"), "{shown}");
        assert!(!headers.contains_key("webhook-allowed-rate"), "{shown}");
    }
}

#[tokio::test]
async fn where_senders_do_not_ask_there_is_no_such_method() {
    let tested = ingress(None);
    for path in ["/v1/hooks/prod", "/webhook"] {
        let (status, headers, body) = send(&tested, options(path, &[b"a.com"])).await;
        let found = (status.as_u16(), body["code"].as_str());
        assert_eq!(found, (405, Some("method_not_allowed")), "{path}");
        assert_eq!(headers[header::ALLOW], "POST");
        assert!(!headers.contains_key("webhook-allowed-origin"));
    }
}
