use super::{
    kit::{assert_events, decode, ignored},
    *,
};

const UPDATE: &[u8] = include_bytes!("../fixtures/doppler.json");
const DIFF: &[u8] = include_bytes!("../fixtures/doppler-diff.json");

fn plain() -> Value {
    json!({ "format": "doppler" })
}

fn custom() -> Value {
    json!({ "format": "doppler", "scope": { "project": "shop", "config": "dev" } })
}

#[test]
fn without_a_diff_the_config_changed() {
    assert_events!("doppler", decode(&plain(), UPDATE));
}

#[test]
fn with_a_diff_each_name_is_a_change() {
    assert_events!("doppler-diff", decode(&plain(), DIFF));
}

#[test]
fn a_diff_that_names_nothing_means_the_config() {
    let mut body: Value = serde_json::from_slice(DIFF).unwrap();
    for diff in [
        json!({}),
        json!({ "added": [], "removed": null, "updated": [] }),
        Value::Null,
    ] {
        body["diff"] = diff;
        let events = decode(&plain(), body.to_string().as_bytes()).unwrap();
        assert_eq!((events.len(), &events[0].matches), (1, &Match::Scope));
    }
}

#[test]
fn two_equal_deliveries_are_two_changes() {
    let id = || decode(&plain(), UPDATE).unwrap()[0].id.clone();
    assert_ne!(id(), id());
}

#[test]
fn a_custom_payload_means_the_scope_of_the_source() {
    assert_events!(
        "doppler-custom",
        decode(&custom(), br#"{"text":"do-not-leak"}"#)
    );
    for body in [
        "",
        " \n",
        "[]",
        "1",
        r#"{"type":"deploy","config":{}}"#,
        r#"{"type":7,"config":"prd"}"#,
    ] {
        let events = decode(&custom(), body.as_bytes()).unwrap();
        assert_eq!(events[0].matches, Match::Scope, "{body}");
        assert_eq!(events[0].scope, source(&custom()).scope, "{body}");
    }
}

#[test]
fn dopplers_own_payload_is_read_also_where_a_custom_one_may_come() {
    let events = decode(&custom(), DIFF).unwrap();
    assert_eq!(events[0].matches.keys(), ["API_KEY"]);
    assert_eq!(
        events[0].scope,
        source(&custom()).scope,
        "the configuration outweighs the payload"
    );
    let other = br#"{"type":"config.rename","config":{"name":"prd"}}"#;
    assert_eq!(ignored(&custom(), &[], other), ["type"]);
}

#[test]
fn what_changes_no_secret_is_irrelevant() {
    for body in [
        r#"{"type":"config.rename","config":{"name":"prd","project":"backend"}}"#,
        r#"{"type":"workplace.update"}"#,
    ] {
        assert_eq!(ignored(&plain(), &[], body.as_bytes()), ["type"], "{body}");
    }
}

#[test]
fn what_is_malformed_is_named() {
    let update = |rest: &str| format!(r#"{{"type":"config.secrets.update",{rest}}}"#);
    let config = r#""config":{"name":"prd","project":"backend"}"#;
    let foreign = "the body is not Doppler's own: if the webhook has a custom payload, set `scope` of this source to the project and config";
    for (body, expected) in [
        (
            update(r#""config":"do-not-leak""#),
            "config is not an object",
        ),
        (
            update(r#""config":{"project":"backend"}"#),
            "config.name is missing",
        ),
        (
            update(r#""config":{"name":"prd","project":""}"#),
            "config.project is missing",
        ),
        (
            update(&format!(r#"{config},"diff":{{"added":"do-not-leak"}}"#)),
            "diff.added is not an array",
        ),
        (
            update(&format!(
                r#"{config},"diff":{{"updated":[{{"name":"do-not-leak"}}]}}"#
            )),
            "element 0: diff is neither a string nor a number",
        ),
        (
            update(&format!(r#"{config},"diff":{{"added":[""]}}"#)),
            "element 0: diff: key 0 is empty",
        ),
        (r#"{"text":"do-not-leak"}"#.to_owned(), foreign),
        ("[]".to_owned(), foreign),
    ] {
        assert_eq!(
            decode(&plain(), body.as_bytes()),
            Err(malformed(expected)),
            "{body}"
        );
    }
    for config in [plain(), custom()] {
        let error = decode(&config, b"{do-not-leak");
        assert!(
            matches!(error, Err(DecodeError::NotJson { .. })),
            "{error:?}"
        );
    }
    assert!(matches!(
        decode(&plain(), b""),
        Err(DecodeError::NotJson { .. })
    ));
}
