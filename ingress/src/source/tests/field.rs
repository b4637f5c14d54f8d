//! Bodies as they come from the field: shapes, repetitions and elements that no document shows.

use super::kit::{content, decode, decode_with, ignored, left_out, source};
use crate::source::*;
use serde_json::{Value, json};

fn keys(config: &Value, body: &str) -> Vec<String> {
    let events = decode(config, body.as_bytes()).unwrap();
    let keys = events.iter().flat_map(|event| event.matches.keys());
    keys.cloned().collect()
}

fn akeyless() -> Value {
    json!({ "format": "akeyless" })
}

fn vault_audit() -> Value {
    json!({ "format": "vault-audit" })
}

fn eventbridge() -> Value {
    json!({ "format": "aws-eventbridge" })
}

fn entry(path: &str, more: &str) -> String {
    format!(
        r#"{{{more}"type":"response","request":{{"id":"r1","operation":"update","mount_type":"kv","mount_point":"secret/","path":"{path}"}}}}"#
    )
}

#[test]
fn one_bad_element_does_not_lose_the_batch() {
    let change = |name: &str| json!({ "event_type": "static-secret-updated", "item_name": name });
    let body = json!([change("/a"), change(""), change("/b")]).to_string();
    assert_eq!(keys(&akeyless(), &body), ["/a", "/b"]);
    assert_eq!(
        left_out(&akeyless(), &[], body.as_bytes()),
        ["element 1: item_name: key 0 is empty"]
    );
    let generic = json!({ "format": "generic", "mapping": { "each": "/names" } });
    let body = r#"[{"names":["a","",{}]},{"names":7},{"names":["b"]}]"#;
    assert_eq!(keys(&generic, body), ["a", "b"]);
    assert_eq!(left_out(&generic, &[], body.as_bytes()).len(), 3);
}

#[test]
fn an_over_long_path_does_not_lose_the_other_entries() {
    let long = format!("secret/data/{}", "x".repeat(3000));
    let body = [
        entry("secret/data/a", ""),
        entry(&long, ""),
        entry("secret/data/b", ""),
    ];
    let body = body.join("\n");
    assert_eq!(
        keys(&vault_audit(), &body),
        ["secret/data/a", "secret/data/b"]
    );
}

#[test]
fn a_broken_line_does_not_lose_the_other_lines() {
    let body = format!(
        "{}\n{{\"cut\n{}",
        entry("secret/data/a", ""),
        entry("secret/data/b", "")
    );
    assert_eq!(
        keys(&vault_audit(), &body),
        ["secret/data/a", "secret/data/b"]
    );
    assert_eq!(
        left_out(&vault_audit(), &[], body.as_bytes()),
        ["line 2 is not JSON"]
    );
}

#[test]
fn a_prefix_before_each_line_is_passed_over() {
    let body = format!(
        "@cee: {}\n@cee: {}\n",
        entry("secret/data/a", ""),
        entry("secret/data/b", "")
    );
    assert_eq!(
        keys(&vault_audit(), &body),
        ["secret/data/a", "secret/data/b"]
    );
}

#[test]
fn a_field_twice_is_what_it_is_the_last_time() {
    let twice = r#""time":"2026-01-02T03:04:05.123Z","time":"2026-01-02T03:04:05Z","#;
    let body = format!(
        "{}\n{}",
        entry("secret/data/a", twice),
        entry("secret/data/b", "")
    );
    let events = decode(&vault_audit(), body.as_bytes()).unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].time, "2026-01-02T03:04:05Z".parse().ok());
}

#[test]
fn an_entry_as_text_in_what_a_shipper_sends_is_read() {
    for field in ["log", "message"] {
        let text = format!("vault: {}", entry("secret/data/a", ""));
        let body = json!([{ "date": 1_767_322_800.123, field: text }]).to_string();
        assert_eq!(keys(&vault_audit(), &body), ["secret/data/a"], "{field}");
    }
}

#[test]
fn every_name_of_the_kv_engine_counts() {
    for engine in ["kv", "kv-v1", "kv-v2", "generic", "vault-plugin-secrets-kv"] {
        let body = entry("secret/data/a", "").replace(r#""kv""#, &format!(r#""{engine}""#));
        assert_eq!(keys(&vault_audit(), &body), ["secret/data/a"], "{engine}");
    }
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let body = "\u{feff}[{\"event_type\":\"static-secret-updated\",\"item_name\":\"/prod/db\"}]";
    assert_eq!(keys(&akeyless(), body), ["/prod/db"]);
}

#[test]
fn numbers_keep_their_text() {
    let config = json!({
        "format": "generic",
        "mapping": { "keys": "/k", "id": "/id", "scope": { "project": "/p" } },
    });
    let event = |id: &str, key: &str| {
        let body = format!(r#"{{"id":{id},"k":{key},"p":10.50}}"#);
        decode(&config, body.as_bytes()).unwrap().remove(0)
    };
    let one = event("12345678901234567890123", "7e1");
    let other = event("12345678901234567890124", "1.0");
    assert_ne!(one.id, other.id);
    assert_eq!(one.id, "12345678901234567890123");
    assert_eq!(other.matches.keys(), ["1.0"]);
    assert_eq!(other.scope["project"], "10.50");
}

#[test]
fn an_id_that_cannot_be_used_counts_as_none() {
    for id in [
        json!(""),
        json!("x".repeat(481)),
        json!("a\nb"),
        json!([1]),
        Value::Null,
    ] {
        let body =
            json!({ "event_id": id, "event_type": "static-secret-updated", "item_name": "/a" });
        let events = decode(&akeyless(), body.to_string().as_bytes()).unwrap();
        assert_eq!(events[0].origin.event_id, None, "{id}");
    }
    let headers = [
        ("x-github-delivery", ""),
        ("x-github-event", "repository_dispatch"),
    ];
    let github = json!({ "format": "github", "mapping": { "keys": "/k" } });
    assert_eq!(
        decode_with(&source(&github), &headers, b"{\"k\":\"a\"}")
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_form_of_github_is_read() {
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-github-event", "repository_dispatch"),
    ];
    let github =
        source(&json!({ "format": "github", "mapping": { "keys": "/client_payload/key" } }));
    let body = b"payload=%7B%22client_payload%22%3A%7B%22key%22%3A%22prod%2Fdb%22%7D%7D";
    let events = decode_with(&github, &headers, body).unwrap();
    assert_eq!(events[0].matches.keys(), ["prod/db"]);
    assert!(decode_with(&github, &headers, b"other=%7B%7D").is_err());
}

#[test]
fn two_cloudevents_never_share_an_id() {
    let id = |source: &str, id: &str| {
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-type", "t"),
            ("ce-source", source),
            ("ce-id", id),
            ("ce-subject", "k"),
        ];
        let config = source_of_cloudevents();
        decode_with(&config, &headers, b"").unwrap()[0].id.clone()
    };
    assert_ne!(id("a/b", "c"), id("a", "b/c"));
    assert_ne!(id("a", "b%252Fc"), id("a", "b/c"));
    assert_eq!(id("a", "b"), "a/b");
}

fn source_of_cloudevents() -> Source {
    source(&json!({ "format": "cloudevents" }))
}

#[test]
fn a_secret_whose_pending_version_moved_alone_is_no_change() {
    let call = |stages: Value| {
        json!({
            "id": "e1", "detail-type": "AWS API Call via CloudTrail", "source": "aws.secretsmanager",
            "detail": {
                "eventSource": "secretsmanager.amazonaws.com", "eventName": "PutSecretValue",
                "requestParameters": { "secretId": "prod/db", "versionStages": stages },
            },
        })
        .to_string()
    };
    assert_eq!(
        ignored(&eventbridge(), &[], call(json!(["AWSPENDING"])).as_bytes()),
        ["version"]
    );
    for stages in [
        json!(["AWSPENDING", "AWSCURRENT"]),
        json!([]),
        json!(null),
        json!(7),
    ] {
        assert_eq!(
            keys(&eventbridge(), &call(stages.clone())),
            ["prod/db"],
            "{stages}"
        );
    }
}

#[test]
fn a_message_that_is_not_of_secret_manager_is_a_test() {
    let config = json!({ "format": "gcp-pubsub" });
    for attributes in [
        "",
        r#","attributes":{}"#,
        r#","attributes":{"googclient":"x"}"#,
    ] {
        let body = format!(r#"{{"message":{{"data":"aGVsbG8=","messageId":"1"{attributes}}}}}"#);
        assert_eq!(
            ignored(&config, &[], body.as_bytes()),
            ["test"],
            "{attributes}"
        );
    }
}

#[test]
fn a_group_that_is_no_list_does_not_lose_the_others() {
    let body = r#"{"static-secret-updated":[{"item_name":"/a"}],"request-access":7,"rotated-secret-success":"x"}"#;
    assert_eq!(keys(&akeyless(), body), ["/a"]);
    assert_eq!(
        left_out(&akeyless(), &[], body.as_bytes()),
        ["element 1 is not an object"]
    );
}

#[test]
fn the_topic_of_a_sovereign_cloud_is_confirmed_there() {
    let topic = "arn:aws-eusc:sns:eusc-de-east-1:123456789012:secrets";
    let config = json!({ "format": "aws-sns", "topics": [topic] });
    let url = "https://sns.eusc-de-east-1.amazonaws.eu/?Action=ConfirmSubscription&Token=t";
    let body =
        json!({ "Type": "SubscriptionConfirmation", "TopicArn": topic, "SubscribeURL": url });
    let found = content(&source(&config), &[], body.to_string().as_bytes());
    assert!(
        matches!(
            found,
            Ok(Content::Handshake(Handshake::Confirmation { .. }))
        ),
        "{found:?}"
    );
}
