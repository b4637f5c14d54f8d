//! Polls beside sources, and an ingress without a port.

use super::*;

fn poll(name: &str) -> serde_json::Value {
    json!({ "name": name, "provider": "vault", "address": "https://vault:8200", "auth": { "token_file": SECRET } })
}

#[test]
fn polls_alone_want_no_port() {
    let alone = config(json!({ "listen": "none", "polls": [poll("vault")] }));
    alone.check().unwrap();
    assert_eq!(
        alone
            .open_polls(&poll::Metrics::default(), &spans::Tracer::default())
            .unwrap()
            .len(),
        1
    );
    let beside = json!({ "sources": [source("a", &json!({}))], "polls": [poll("vault")] });
    config(beside).check().unwrap();
}

#[test]
fn a_mistake_about_polls_is_named() {
    for (settings, expected) in [
        (json!({ "polls": [poll("a")] }), "set `listen: none`"),
        (json!({ "listen": "none" }), "nothing to poll"),
        (
            json!({ "listen": "none", "sources": [source("a", &json!({}))] }),
            "leaves sources without a port",
        ),
        (
            json!({ "listen": "none", "polls": [poll("a"), poll("a")] }),
            "poll `a`: another source or poll has this name",
        ),
        (
            json!({ "sources": [source("a", &json!({}))], "polls": [poll("a")] }),
            "poll `a`: another source or poll has this name",
        ),
    ] {
        let refused = config(settings).check().unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn a_missing_file_of_a_poll_fails_the_start() {
    let mut away = poll("vault");
    away["auth"] = json!({ "jwt": { "role": "r", "token_file": "/nowhere" } });
    let away = config(json!({ "listen": "none", "polls": [away] }));
    let opened = away.open_polls(&poll::Metrics::default(), &spans::Tracer::default());
    let refused = opened.err().unwrap().to_string();
    assert!(
        refused.contains("poll `vault`: auth: cannot read /nowhere"),
        "{refused}"
    );
}
