use super::{
    kit::{assert_events, decode_with, ignored},
    *,
};

const REVISION: &[u8] = include_bytes!("../fixtures/pulumi-esc.json");
const KIND: &str = "Pulumi-Webhook-Kind";

fn config() -> Value {
    json!({ "format": "pulumi-esc" })
}

fn send(kind: &str, body: &[u8]) -> Result<Vec<Event>, DecodeError> {
    let headers = [
        (KIND, kind),
        ("Pulumi-Webhook-ID", "ea01abd2-90b4-4670-acce-15cc019ed6e4"),
    ];
    decode_with(&source(&config()), &headers, body)
}

#[test]
fn an_environment_has_other_values_after_a_revision_and_after_an_import() {
    assert_events!("pulumi-esc", send("environment_revision", REVISION));
    let imported = send("imported_environment_changed", REVISION).unwrap();
    assert_eq!(
        imported[0].scope,
        send("environment_revision", REVISION).unwrap()[0].scope
    );
}

#[test]
fn an_organization_is_known_by_its_login_or_else_by_its_name() {
    for (organization, known) in [
        (
            json!({ "name": "Acme Inc", "githubLogin": "acme" }),
            Some("acme"),
        ),
        (json!({ "name": "acme" }), Some("acme")),
        (json!({ "name": "" }), None),
        (Value::Null, None),
    ] {
        let body = json!({ "organization": organization, "environmentName": "prod" }).to_string();
        let scope = send("environment_revision", body.as_bytes())
            .unwrap()
            .remove(0)
            .scope;
        assert_eq!(
            scope.get("organization").map(String::as_str),
            known,
            "{organization}"
        );
    }
}

#[test]
fn an_id_is_the_same_when_pulumi_sends_again() {
    let id = || {
        send("environment_revision", REVISION).unwrap()[0]
            .id
            .clone()
    };
    assert_eq!(
        (id(), id()),
        (id(), "ea01abd2-90b4-4670-acce-15cc019ed6e4".to_owned())
    );
    let without = || {
        let headers = [(KIND, "environment_revision")];
        decode_with(&source(&config()), &headers, REVISION).unwrap()[0]
            .id
            .clone()
    };
    assert_ne!(without(), without());
}

#[test]
fn what_changes_no_value_is_irrelevant() {
    for (kind, reason) in [
        ("ping", "test"),
        ("test", "test"),
        ("environment", "type"),
        ("environment_tag", "type"),
        ("stack_update", "type"),
    ] {
        let body = br#"{"timestamp":1632735487,"message":"do-not-leak"}"#;
        assert_eq!(
            ignored(&config(), &[(KIND, kind)], body),
            [reason],
            "{kind}"
        );
    }
}

#[test]
fn what_is_malformed_is_named() {
    let kind = [(KIND, "environment_revision")];
    for (headers, body, expected) in [
        (&[][..], "{}", "Pulumi-Webhook-Kind is missing"),
        (&kind, "{}", "environmentName is missing"),
        (
            &kind,
            r#"{"environmentName":["do-not-leak"]}"#,
            "environmentName is neither a string nor a number",
        ),
        (
            &kind,
            r#"{"organization":"do-not-leak"}"#,
            "organization is not an object",
        ),
        (&kind, "[]", "the body is not an object"),
    ] {
        let error = decode_with(&source(&config()), headers, body.as_bytes());
        assert_eq!(error, Err(malformed(expected)), "{body}");
    }
}
