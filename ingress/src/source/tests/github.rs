use super::{
    kit::{assert_events, content},
    *,
};

const BODY: &[u8] = include_bytes!("../fixtures/github-repository-dispatch.json");

fn github() -> Source {
    source(
        &json!({ "format": "github", "provider": "akeyless", "mapping": {
        "keys": "/client_payload/key", "types": ["repository_dispatch"],
    } }),
    )
}

fn reasons(headers: &[(&str, &str)], body: &[u8]) -> Vec<&'static str> {
    match content(&github(), headers, body) {
        Ok(Content::Events {
            events, ignored, ..
        }) if events.is_empty() => ignored
            .into_iter()
            .map(|(_, reason)| reason.reason())
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_headers_tell_the_type_and_an_id_that_a_redelivery_has_again() {
    let headers = [
        ("x-github-event", "repository_dispatch"),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
    ];
    assert_events!("github", decode_with(&github(), &headers, BODY));
    let again = decode_with(&github(), &headers, BODY).unwrap();
    assert_eq!(again[0].id, "72d3162e-cc78-11e3-81ab-4c9367dc0958");
}

#[test]
fn a_ping_is_a_test_and_other_types_are_not_listed() {
    assert_eq!(
        reasons(
            &[("x-github-event", "ping")],
            br#"{"zen":"Design for failure."}"#
        ),
        ["test"]
    );
    assert_eq!(reasons(&[("x-github-event", "push")], BODY), ["type"]);
    assert_eq!(reasons(&[], BODY), ["type"]);
}

#[test]
fn a_header_that_is_malformed_is_named() {
    let long = "x".repeat(481);
    let headers = [("x-github-event", &*long)];
    let error = decode_with(&github(), &headers, BODY)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("X-GitHub-Event"), "{error}");
    assert!(!error.contains(&long), "{error}");
}
