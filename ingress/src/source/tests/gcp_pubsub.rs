use serde_json::{Value, json};

use super::kit::{assert_events, content, decode, decode_with, ignored, source};
use crate::source::*;

const WRAPPED: &[u8] = include_bytes!("../fixtures/gcp-pubsub-wrapped.json");
const REGIONAL: &[u8] = include_bytes!("../fixtures/gcp-pubsub-regional.json");

fn config() -> Value {
    json!({ "format": "gcp-pubsub" })
}

fn mapped() -> Value {
    json!({ "format": "gcp-pubsub", "projects": { "123456789": "my-project" } })
}

fn push(attributes: &Value) -> String {
    json!({ "message": { "attributes": attributes, "messageId": "1" } }).to_string()
}

#[test]
fn a_wrapped_message_is_read_by_its_attributes() {
    assert_events!("gcp-pubsub-wrapped", decode(&config(), WRAPPED));
    assert_events!("gcp-pubsub-regional", decode(&mapped(), REGIONAL));
}

#[test]
fn an_unwrapped_message_is_read_by_its_headers_and_its_body_is_not() {
    let headers = [
        (
            "x-goog-pubsub-subscription-name",
            "projects/myproject/subscriptions/mysub",
        ),
        ("x-goog-pubsub-message-id", "10245935218"),
        ("x-goog-pubsub-publish-time", "2020-01-20T19:17:46.123Z"),
        ("eventType", "SECRET_VERSION_ADD"),
        ("dataFormat", "JSON_API_V1"),
        ("secretId", "projects/123456789/secrets/my-secret"),
        (
            "versionId",
            "projects/123456789/secrets/my-secret/versions/7",
        ),
        ("timestamp", "2020-01-20T11:17:45.081104-08:00"),
    ];
    let source = source(&config());
    for body in [&b"\xff do-not-leak"[..], br#"{"name":"do-not-leak"}"#, b""] {
        let unwrapped = decode_with(&source, &headers, body);
        assert_eq!(unwrapped, decode(&config(), WRAPPED));
    }
}

#[test]
fn a_known_project_is_named_by_its_number_and_its_id_whichever_is_given() {
    for (given, keys) in [
        (
            "123456789",
            [
                "s",
                "projects/123456789/secrets/s",
                "projects/my-project/secrets/s",
            ],
        ),
        (
            "my-project",
            [
                "s",
                "projects/123456789/secrets/s",
                "projects/my-project/secrets/s",
            ],
        ),
    ] {
        let body = push(
            &json!({ "eventType": "SECRET_UPDATE", "secretId": format!("projects/{given}/secrets/s") }),
        );
        let events = decode(&mapped(), body.as_bytes()).unwrap();
        assert_eq!(events[0].matches.keys(), keys, "{given}");
        let scope = json!({ "project": "my-project", "project_number": "123456789" });
        assert_eq!(json!(events[0].scope), scope, "{given}");
    }
    let body =
        push(&json!({ "eventType": "SECRET_UPDATE", "secretId": "projects/other/secrets/s" }));
    let events = decode(&mapped(), body.as_bytes()).unwrap();
    assert_eq!(events[0].matches.keys(), ["s", "projects/other/secrets/s"]);
    assert_eq!(json!(events[0].scope), json!({ "project": "other" }));
}

#[test]
fn every_type_means_what_it_does_to_readers() {
    for (kind, expected) in [
        ("SECRET_VERSION_ADD", "secret.changed updated"),
        ("SECRET_VERSION_ENABLE", "secret.changed restored"),
        ("SECRET_VERSION_DISABLE", "secret.changed deleted"),
        ("SECRET_VERSION_DESTROY", "secret.changed deleted"),
        ("SECRET_VERSION_DESTROY_SCHEDULED", "secret.changed deleted"),
        ("SECRET_UPDATE", "secret.changed metadata"),
        ("SECRET_DELETE", "secret.deleted deleted"),
    ] {
        let body = push(&json!({ "eventType": kind, "secretId": "projects/p/secrets/s" }));
        let events = decode(&config(), body.as_bytes()).unwrap();
        let found = [json!(events[0].kind), json!(events[0].operation)];
        let found = found
            .map(|word| word.as_str().unwrap().to_owned())
            .join(" ");
        assert_eq!(found, expected, "{kind}");
    }
    for (kind, reason) in [
        ("SECRET_CREATE", "type"),
        ("SECRET_ROTATE", "type"),
        ("SOMETHING_NEW", "type"),
        ("TOPIC_CONFIGURED", "test"),
    ] {
        let body = push(&json!({ "eventType": kind }));
        assert_eq!(ignored(&config(), &[], body.as_bytes()), [reason], "{kind}");
        let headers = [("eventtype", kind)];
        assert_eq!(ignored(&config(), &headers, b"{}"), [reason], "{kind}");
    }
}

#[test]
fn a_message_that_is_pushed_again_has_the_same_id() {
    let id = |body| decode(&config(), body).unwrap()[0].id.clone();
    assert_eq!([id(WRAPPED), id(WRAPPED)], ["10245935218", "10245935218"]);
    assert_eq!(id(REGIONAL), "10245935219");
}

#[test]
fn what_is_malformed_is_named_and_what_stands_there_is_not() {
    const NO_NAME: &str =
        "element 0: secretId is not projects/P/secrets/S or projects/P/locations/L/secrets/S";
    let added =
        |secret: Value| push(&json!({ "eventType": "SECRET_VERSION_ADD", "secretId": secret }));
    for (body, expected) in [
        ("[]".to_owned(), "the body is not an object"),
        (
            r#"{"name":"do-not-leak"}"#.to_owned(),
            "message is missing: let the subscription wrap its messages, or write their metadata into headers",
        ),
        (
            r#"{"message":"do-not-leak"}"#.to_owned(),
            "message is not an object",
        ),
        (push(&json!([])), "message.attributes is not an object"),
        (
            push(&json!({ "eventType": "SECRET_UPDATE" })),
            "element 0: secretId is missing",
        ),
        (
            added(json!(["do-not-leak"])),
            "element 0: secretId is neither a string nor a number",
        ),
        (added(json!("do-not-leak")), NO_NAME),
        (added(json!("projects/p/secrets/")), NO_NAME),
        (
            added(json!("projects/p/secrets/do-not-leak/versions/1")),
            NO_NAME,
        ),
        (added(json!("projects/p/locations/l/folders/f")), NO_NAME),
        (added(json!("projects/p/secrets/a@b")), NO_NAME),
    ] {
        assert_eq!(
            decode(&config(), body.as_bytes()),
            Err(malformed(expected)),
            "{body}"
        );
    }
    let headers = [("eventtype", "SECRET_UPDATE"), ("secretid", "s\u{fc}")];
    let error = content(&source(&config()), &headers, b"").unwrap_err();
    assert_eq!(
        error,
        malformed("element 0: secretId is neither a string nor a number")
    );
    let not_json = decode(&config(), b"do-not-leak");
    assert!(
        matches!(not_json, Err(DecodeError::NotJson { .. })),
        "{not_json:?}"
    );
}
