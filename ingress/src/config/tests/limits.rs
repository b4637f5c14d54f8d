//! Limits that let something through, and agree.

use super::*;

#[test]
fn limits_that_do_not_agree_are_refused() {
    for (settings, expected) in [
        (
            json!({ "sources": [source("a", &json!({}))], "max_connection_requests": 0 }),
            ["`max_connection_requests` is 0", "remove it"],
        ),
        (
            json!({ "sources": [source("a", &json!({}))], "max_connections_per_peer": 1025 }),
            [
                "`max_connections_per_peer` (1025)",
                "`max_connections` (1024)",
            ],
        ),
        (
            json!({ "sources": [source("a", &json!({}))], "max_unverified": 100_000 }),
            ["`max_unverified` (100000)", "`body_limit`"],
        ),
        (
            json!({ "sources": [source("a", &json!({}))], "max_unverified": 17_000_000 }),
            ["`max_unverified` (17000000)", "`max_buffered`"],
        ),
    ] {
        let error = refused(settings);
        for part in expected {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    }
}

#[test]
fn a_size_or_a_time_with_which_nothing_would_be_accepted_is_refused() {
    let one = |more: serde_json::Value, publish: serde_json::Value| {
        refused(json!({ "sources": [source("a", &more)], "publish": publish }))
    };
    let small = one(json!({}), json!({ "max_message_bytes": 100 }));
    assert!(
        small.contains("`publish.max_message_bytes` is 100"),
        "{small}"
    );
    let long = one(json!({ "deadline": "9s" }), json!({ "deadline": "8s" }));
    assert!(
        long.contains("source `a`: `deadline` (9s) is above"),
        "{long}"
    );
}

#[test]
fn a_days_forwarder_sends_as_many_elements_as_are_read_at_once() {
    let event = r#"{"event_id":1234567890,"event_type":"static-secret-updated","event_source":"account","event_message":"the value of the item was changed by an administrator of the account","item_name":"/production/europe/payments/database/primary/password","item_type":"STATIC_SECRET","gateway":"https://gateway.example.com:8000","created_at":"2026-11-29T12:00:00.000000Z","status":"NEW"}"#;
    let sources = json!({ "sources": [source("a", &json!({}))] });
    let limits = config(sources).body_limits();
    assert!(crate::source::MAX_ELEMENTS * (event.len() + 1) <= limits.body);
    assert!(limits.body <= limits.unverified && limits.unverified <= limits.total / 4);
}

#[test]
fn limits_that_were_set_before_the_default_grew_still_agree() {
    for settings in [
        json!({ "sources": [source("a", &json!({}))], "max_buffered": 2_000_000 }),
        json!({ "sources": [source("a", &json!({ "limits": { "buffered": 1_048_576 } }))] }),
    ] {
        let config = config(settings);
        config.check().unwrap();
        assert!((1_048_576..=2_000_000).contains(&config.body_limits().body));
    }
}
