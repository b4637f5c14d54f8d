use super::{
    kit::{assert_events, decode, ignored},
    *,
};

const MODIFIED: &[u8] = include_bytes!("../fixtures/infisical.json");

fn config(projects: &Value) -> Value {
    json!({ "format": "infisical", "projects": projects })
}

#[test]
fn a_folder_changed() {
    assert_events!(
        "infisical",
        decode(&config(&json!({ "645f6b1c": "web-shop" })), MODIFIED)
    );
}

#[test]
fn a_project_is_mapped_by_any_of_its_names_and_else_unknown() {
    let mut body: Value = serde_json::from_slice(MODIFIED).unwrap();
    body["project"]["workspaceId"] = json!("old-id");
    for (name, slug) in [
        ("645f6b1c", Some("web-shop")),
        ("old-id", Some("web-shop")),
        ("Web Shop", Some("web-shop")),
        ("other", None),
    ] {
        let events = decode(
            &config(&json!({ name: "web-shop" })),
            body.to_string().as_bytes(),
        );
        let scope = events.unwrap().remove(0).scope;
        assert_eq!(scope.get("project").map(String::as_str), slug, "{name}");
    }
}

#[test]
fn a_folder_that_is_not_told_is_unknown() {
    let body =
        br#"{"event":"secrets.modified","project":{"environment":"prod"},"timestamp":"soon"}"#;
    let event = decode(&config(&json!({})), body).unwrap().remove(0);
    assert_eq!(
        event.scope,
        [("environment".to_owned(), "prod".to_owned())].into()
    );
    assert_eq!(event.time, None);
}

#[test]
fn what_changes_no_secret_is_irrelevant() {
    for (event, reason) in [
        ("test", "test"),
        ("secrets.rotation-failed", "type"),
        ("", "type"),
    ] {
        let body = json!({ "event": event, "project": "do-not-leak", "timestamp": "" }).to_string();
        assert_eq!(
            ignored(&config(&json!({})), &[], body.as_bytes()),
            [reason],
            "{event}"
        );
    }
}

#[test]
fn two_equal_deliveries_are_two_changes() {
    let id = || decode(&config(&json!({})), MODIFIED).unwrap()[0].id.clone();
    assert_ne!(id(), id());
}

#[test]
fn what_is_malformed_is_named() {
    for (body, expected) in [
        ("{}", "event is missing"),
        (r#"{"event":"secrets.modified"}"#, "project is missing"),
        (
            r#"{"event":"secrets.modified","project":"do-not-leak"}"#,
            "project is not an object",
        ),
        (
            r#"{"event":"secrets.modified","project":{"secretPath":"/"}}"#,
            "project.environment is missing",
        ),
        (
            r#"{"event":"secrets.modified","project":{"environment":"p","secretPath":["do-not-leak"]}}"#,
            "project.secretPath is neither a string nor a number",
        ),
        ("[]", "the body is not an object"),
    ] {
        assert_eq!(
            decode(&config(&json!({})), body.as_bytes()),
            Err(malformed(expected)),
            "{body}"
        );
    }
}
