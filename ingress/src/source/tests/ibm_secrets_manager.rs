use super::{
    kit::{assert_events, decode, ignored},
    *,
};

const ROTATED: &[u8] = include_bytes!("../fixtures/ibm-secrets-manager.json");

fn config() -> Value {
    json!({ "format": "ibm-secrets-manager" })
}

fn rotated() -> Value {
    serde_json::from_slice(ROTATED).unwrap()
}

#[test]
fn each_secret_of_a_notification_is_a_change() {
    assert_events!("ibm-secrets-manager", decode(&config(), ROTATED));
}

#[test]
fn a_notification_is_taken_by_itself_or_below_data() {
    let wrapped = json!({ "id": "en-1", "type": "com.ibm.cloud.secrets-manager.secret_rotated", "data": rotated() });
    let wrapped = decode(&config(), wrapped.to_string().as_bytes()).unwrap();
    let plain = decode(&config(), ROTATED).unwrap();
    assert_eq!(wrapped.len(), 2);
    for (wrapped, plain) in wrapped.iter().zip(&plain) {
        assert_eq!(
            (&wrapped.matches, &wrapped.scope),
            (&plain.matches, &plain.scope)
        );
        assert_ne!(wrapped.id, plain.id, "each delivery is new");
    }
}

#[test]
fn what_happened_is_told_whether_the_type_is_short_or_long() {
    for (kind, operation) in [
        ("secret_created", Operation::Created),
        ("secret_rotated", Operation::Updated),
        (
            "com.ibm.cloud.secrets-manager.secret_rotated",
            Operation::Updated,
        ),
        (
            "com.ibm.cloud.secrets-manager:secret_revoked",
            Operation::Updated,
        ),
        ("secret_deleted", Operation::Deleted),
        ("secret_data_removed", Operation::Deleted),
        ("secret_version_data_deleted", Operation::Deleted),
    ] {
        let mut body = rotated();
        body["event_type"] = json!(kind);
        let events = decode(&config(), body.to_string().as_bytes()).unwrap();
        assert_eq!(events[0].operation, operation, "{kind}");
        assert_eq!(events[0].origin.kind.as_deref(), Some(kind));
    }
}

#[test]
fn what_changes_no_secret_is_irrelevant() {
    for (kind, reason) in [
        ("test_event", "test"),
        ("com.ibm.cloud.secrets-manager.test_event", "test"),
        ("secret_rotation_failed", "failed"),
        ("secret_deletion_blocked", "failed"),
        ("secret_about_to_expire", "type"),
        ("secret_task_created", "type"),
    ] {
        let body = json!({ "event_type": kind, "secrets": "do-not-leak" }).to_string();
        assert_eq!(ignored(&config(), &[], body.as_bytes()), [reason], "{kind}");
    }
    assert_eq!(
        ignored(
            &config(),
            &[],
            br#"{"event_type":"secret_rotated","secrets":[]}"#
        ),
        ["empty"]
    );
}

#[test]
fn a_secret_is_known_by_what_is_told_of_it() {
    let crn = "crn:v1:bluemix:public:secrets-manager:eu-de:a/acc:11111111-2222-3333-4444-555555555555:secret:s-1";
    for (kind, id, keys, instance) in [
        (
            json!("arbitrary"),
            json!(crn),
            &["arbitrary/db", "db", "s-1"][..],
            Some("11111111-2222-3333-4444-555555555555"),
        ),
        (Value::Null, json!("s-1"), &["db", "s-1"], None),
        (json!(""), Value::Null, &["db"], None),
    ] {
        let body = json!({ "event_type": "secret_rotated", "secret_type": kind, "secrets": [{ "secret_name": "db", "secret_id": id }] });
        let events = decode(&config(), body.to_string().as_bytes()).unwrap();
        assert_eq!(events[0].matches.keys(), keys);
        assert_eq!(
            events[0].scope.get("instance").map(String::as_str),
            instance
        );
    }
}

#[test]
fn what_is_malformed_is_named() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = rotated();
        change(&mut body);
        body.to_string()
    };
    for (body, expected) in [
        (
            with(&|body| body["event_type"] = Value::Null),
            "event_type is missing",
        ),
        (
            with(&|body| body["secret_type"] = json!({})),
            "secret_type is neither a string nor a number",
        ),
        (
            with(&|body| body["secrets"] = Value::Null),
            "secrets is not an array",
        ),
        (
            with(&|body| body["secrets"] = json!(["do-not-leak"])),
            "element 0 is not an object",
        ),
        (
            with(&|body| body["secrets"] = json!([{ "secret_name": null }])),
            "element 0: secret_name is missing",
        ),
        (
            with(&|body| body["secrets"] = json!([{ "secret_name": "a", "secret_id": [1] }])),
            "element 0: secret_id is neither a string nor a number",
        ),
        ("[]".to_owned(), "the notification is not an object"),
    ] {
        assert_eq!(
            decode(&config(), body.as_bytes()),
            Err(malformed(expected)),
            "{body}"
        );
    }
}
