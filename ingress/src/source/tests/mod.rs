mod aws_eventbridge;
mod aws_sns;
mod azure_event_grid;
mod cloudevents;
mod doppler;
mod field;
mod gcp_pubsub;
mod generic;
mod github;
mod gitlab;
mod ibm_secrets_manager;
mod infisical;
mod kit;
mod mapping;
mod properties;
mod pulumi_esc;
mod standard_webhooks;
mod templates;
mod vault_audit;
mod vault_events;

use eso_relay::event::{Match, Operation};
use serde_json::{Value, json};

pub(crate) use self::kit::source;
use self::kit::{assert_events, decode, decode_with, ignored};
use super::*;

const CE: &str = "application/cloudevents+json";
const CE_BATCH: &str = "application/cloudevents-batch+json; charset=utf-8";

#[test]
fn akeyless_is_read_in_all_three_shapes() {
    let config = json!({ "format": "akeyless", "target": { "stores": [{ "name": "akeyless*" }] } });
    assert_events!(
        "akeyless-array",
        decode(&config, include_bytes!("../fixtures/akeyless-array.json"))
    );
    assert_events!(
        "akeyless-documented",
        decode(
            &config,
            include_bytes!("../fixtures/akeyless-documented.json")
        )
    );
    assert_events!(
        "akeyless-grouped",
        decode(&config, include_bytes!("../fixtures/akeyless-grouped.json"))
    );
}

#[test]
fn akeyless_groups_are_read_with_the_titles_of_the_documentation_too() {
    let config = json!({ "format": "akeyless" });
    let body = r#"{"Akeyless Events":{"Static Secret Updated":[{"name":"/prod/db"}]}}"#;
    let events = decode(&config, body.as_bytes()).unwrap();
    assert_eq!(events[0].matches.keys(), ["/prod/db"]);
}

#[test]
fn a_rotation_that_failed_in_part_counts() {
    let config = json!({ "format": "akeyless" });
    let body = r#"[{"event_type":"rotated-secret-partial-failure","item_name":"/prod/db"}]"#;
    let events = decode(&config, body.as_bytes()).unwrap();
    assert_eq!(events[0].matches.keys(), ["/prod/db"]);
}

#[test]
fn akeyless_events_that_change_no_value_are_irrelevant() {
    let config = json!({ "format": "akeyless" });
    for (body, reason) in [
        (
            r#"[{"event_type":"rotated-secret-failure","item_name":"/a"}]"#,
            "type",
        ),
        (
            r#"{"Akeyless_Events":{"gateway-inactive":[{"name":"g"}]}}"#,
            "type",
        ),
        ("[]", "empty"),
        ("{}", "empty"),
    ] {
        assert_eq!(ignored(&config, &[], body.as_bytes()), [reason], "{body}");
    }
}

#[test]
fn a_generic_body_is_read_where_the_mapping_says() {
    let config = json!({ "format": "generic", "mapping": {
        "events": "/records", "keys": ["/secret/name", "/secret/arns"], "id": "/uid",
        "type": "/kind", "types": ["rotated"], "time": "/at",
    }, "scope": { "account": "a-1" } });
    assert_events!(
        "generic",
        decode(&config, include_bytes!("../fixtures/generic.json"))
    );
}

#[test]
fn a_generic_source_without_keys_means_its_scope() {
    let config =
        json!({ "format": "generic", "provider": "doppler", "scope": { "project": "backend" } });
    assert_events!("generic-scope", decode(&config, b"{}"));
}

#[test]
fn cloudevents_are_read_in_all_three_modes() {
    let config = json!({ "format": "cloudevents", "target": { "namespaces": ["team-a"] } });
    let source = source(&config);
    let structured = include_bytes!("../fixtures/cloudevent-structured.json");
    assert_events!(
        "cloudevent-structured",
        decode_with(&source, &[("content-type", CE)], structured)
    );
    let batch = include_bytes!("../fixtures/cloudevent-batch.json");
    assert_events!(
        "cloudevent-batch",
        decode_with(&source, &[("content-type", CE_BATCH)], batch)
    );
    let binary = [
        ("ce-specversion", "1.0"),
        ("ce-id", "42"),
        ("ce-source", "urn:x"),
        ("ce-type", "changed"),
        ("ce-subject", "prod/d%C3%BC"),
        ("content-type", "application/octet-stream"),
    ];
    assert_events!(
        "cloudevent-binary",
        decode_with(&source, &binary, b"\xff do-not-leak")
    );
}

#[test]
fn the_provider_and_the_types_of_cloudevents_are_the_configurations() {
    let config = json!({ "format": "cloudevents", "provider": "vault", "mapping": { "types": ["written"], "keys": "/path" } });
    let source = source(&config);
    let event = |kind: &str| {
        let event = json!({ "specversion": "1.0", "id": "1", "source": "s", "type": kind, "data": { "path": "kv/a", "match": "exact", "keys": ["own"], "provider": "akeyless" } });
        decode_with(
            &source,
            &[("content-type", CE)],
            event.to_string().as_bytes(),
        )
    };
    let written = event("written").unwrap();
    assert_eq!(written[0].matches.keys(), ["kv/a"]);
    assert_eq!(event("read"), Ok(Vec::new()));
    let own = event("secret.changed").unwrap();
    assert_eq!(
        (own[0].matches.keys(), own[0].provider.as_str()),
        (&["own".to_owned()][..], "vault")
    );
}

#[test]
fn whether_events_settle_is_the_configurations_alone() {
    let own = json!({ "specversion": "1.0", "id": "1", "source": "s", "type": "secret.changed", "data": { "match": "exact", "keys": ["a"], "settle": "9m" } }).to_string();
    let settle = |config: Value| {
        decode_with(&source(&config), &[("content-type", CE)], own.as_bytes()).unwrap()[0].settle
    };
    assert_eq!(settle(json!({ "format": "cloudevents" })), None);
    assert_eq!(
        settle(json!({ "format": "cloudevents", "settle": "2s" })),
        Some("2s".parse().unwrap())
    );
}

#[test]
fn everything_at_once_is_refused_unless_the_source_may() {
    let all = json!({ "specversion": "1.0", "id": "1", "source": "s", "type": "refresh.requested", "data": { "match": "all" } }).to_string();
    let send =
        |config: Value| decode_with(&source(&config), &[("content-type", CE)], all.as_bytes());
    let refused = send(json!({ "format": "cloudevents" }))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("`mapping.allow_all`"), "{refused}");
    let allowed =
        send(json!({ "format": "cloudevents", "mapping": { "allow_all": true } })).unwrap();
    assert_eq!(allowed[0].matches, Match::All);
}

#[test]
fn akeyless_trigger_payloads_count_whatever_their_type() {
    let trigger = Source::akeyless_trigger(kit::open_door());
    let body = include_bytes!("../fixtures/akeyless-trigger.json");
    assert_events!("akeyless_trigger", decode_with(&trigger, &[], body));
    assert_eq!(decode_with(&trigger, &[], b"[]"), Ok(vec![]));
    let single = decode_with(
        &trigger,
        &[],
        br#"{"item_name":"a/b","item_id":1.5,"event_id":7}"#,
    )
    .unwrap();
    assert_eq!(single[0].matches.keys(), ["a/b"]);
    assert_eq!(single[0].provider.as_str(), GENERIC);
}

#[test]
fn two_equal_bodies_are_two_changes_unless_the_senders_id_says_otherwise() {
    let without = br#"[{"event_type":"static-secret-updated","item_name":"/a"}]"#;
    let with = br#"[{"event_id":5,"event_type":"static-secret-updated","item_name":"/a"}]"#;
    let id = |body: &[u8]| {
        decode(&json!({ "format": "akeyless" }), body).unwrap()[0]
            .id
            .clone()
    };
    assert_ne!(id(without), id(without));
    assert_eq!((id(with), id(with)), ("5".to_owned(), "5".to_owned()));
    let trigger = || {
        decode_with(&Source::akeyless_trigger(kit::open_door()), &[], with).unwrap()[0]
            .id
            .clone()
    };
    assert_ne!(trigger(), trigger());
}

#[test]
fn what_is_malformed_is_named_and_what_stands_there_is_not() {
    let long = "do-not-leak".repeat(200);
    let akeyless = |fields: &str| {
        let body = format!(r#"[{{"event_type":"static-secret-updated"{fields}}}]"#);
        (json!({ "format": "akeyless" }), body)
    };
    let generic = |body: &str| {
        (
            json!({ "format": "generic", "mapping": { "keys": ["/name", "/arn"], "id": "/id" } }),
            body.to_owned(),
        )
    };
    for ((config, body), expected) in [
        (akeyless(""), "element 0: item_name is missing"),
        (
            akeyless(r#","item_name":["do-not-leak"]"#),
            "element 0: item_name is neither a string nor a number",
        ),
        (
            akeyless(r#","item_name":"""#),
            "element 0: item_name: key 0 is empty",
        ),
        (
            akeyless(&format!(r#","item_name":"{long}""#)),
            "element 0: item_name: key 0 is longer than 2048 bytes",
        ),
        (
            (
                json!({ "format": "akeyless" }),
                r#""do-not-leak""#.to_owned(),
            ),
            "the body is neither an object nor an array",
        ),
        (
            (
                json!({ "format": "akeyless" }),
                r#"{"type":"do-not-leak"}"#.to_owned(),
            ),
            "the body is neither an event with event_type nor events grouped by their type",
        ),
        (generic(r#"{"id":1}"#), "element 0: no key at /name or /arn"),
        (
            generic(r#"{"name":{"a":1}}"#),
            "element 0: /name is neither a string nor a number",
        ),
        (generic("[1]"), "element 0 is not an object"),
        (
            (json!({ "format": "cloudevents" }), "{}".to_owned()),
            "not a CloudEvent: send Content-Type application/cloudevents+json, application/cloudevents-batch+json, or ce- headers",
        ),
    ] {
        assert_eq!(
            decode(&config, body.as_bytes()),
            Err(malformed(expected)),
            "{body}"
        );
    }
}

#[test]
fn what_is_not_json_is_told_apart_from_what_is_malformed() {
    for config in [
        json!({ "format": "akeyless" }),
        json!({ "format": "generic", "mapping": { "keys": "/k" } }),
    ] {
        for body in [&b""[..], b"{invalid json}", b"[{}", b"\xff\xfe", b"[] []"] {
            let error = decode(&config, body);
            assert!(
                matches!(error, Err(DecodeError::NotJson { .. })),
                "{body:?}: {error:?}"
            );
        }
    }
}

#[test]
fn too_many_elements_are_refused_before_they_are_read() {
    let body = format!("[{}{{}}]", "{},".repeat(MAX_ELEMENTS));
    assert_eq!(
        decode(&json!({ "format": "akeyless" }), body.as_bytes()),
        Err(DecodeError::TooMany(MAX_ELEMENTS + 1))
    );
}

#[test]
fn a_depth_that_is_hostile_is_no_trouble() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let inside =
        format!(r#"[{{"event_type":"static-secret-updated","item_name":"/a","payload":{deep}}}]"#);
    assert_eq!(
        decode(&json!({ "format": "akeyless" }), inside.as_bytes())
            .unwrap()
            .len(),
        1
    );
    assert!(
        decode(
            &json!({ "format": "generic", "mapping": { "keys": "/0/0/0" } }),
            deep.as_bytes()
        )
        .is_err()
    );
}

#[test]
fn an_event_keeps_its_id_when_its_sender_groups_them_anew() {
    let config = json!({ "format": "akeyless" });
    let event = |id: &str, name: &str| json!({ "event_id": id, "event_type": "static-secret-updated", "item_name": name });
    let ids = |body: Value| -> Vec<String> {
        let events = decode(&config, body.to_string().as_bytes()).unwrap();
        events.into_iter().map(|event| event.id).collect()
    };
    let (a, b) = (event("1", "/a"), event("2", "/b"));
    assert_eq!(ids(json!([a, b])), ["1", "2"]);
    assert_eq!(ids(json!([b, a])), ["2", "1"]);
    assert_eq!(ids(json!([b])), ["2"]);
    assert_eq!(ids(json!([a, b, event("1", "/c")])), ["1/0", "2/1", "1/2"]);
}
