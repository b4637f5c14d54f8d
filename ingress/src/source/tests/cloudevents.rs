use super::*;

/// The result for an event in structured mode.
fn event(mapping: &Value, fields: &Value) -> Result<Event, DecodeError> {
    let mut event = json!({ "specversion": "1.0", "id": "1", "source": "s", "type": "written" });
    for (name, value) in fields.as_object().unwrap() {
        event[name] = value.clone();
    }
    let source = source(&json!({ "format": "cloudevents", "mapping": mapping }));
    let body = event.to_string();
    decode_with(&source, &[("content-type", CE)], body.as_bytes())
        .map(|mut events| events.remove(0))
}

fn binary(more: &[(&str, &str)], body: &[u8], mapping: &Value) -> Result<Event, DecodeError> {
    let mut headers = vec![
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "s"),
        ("ce-type", "written"),
    ];
    headers.extend(more);
    let source = source(&json!({ "format": "cloudevents", "mapping": mapping }));
    decode_with(&source, &headers, body).map(|mut events| events.remove(0))
}

#[test]
fn scope_and_match_are_mapped_out_of_foreign_data_too() {
    let scope = json!({ "mount": "/mount" });
    let written = event(
        &json!({ "keys": "/path", "match": "prefix", "scope": scope, "operation": "updated" }),
        &json!({ "data": { "path": "kv/a/", "mount": "kv", "value": "do-not-leak" } }),
    )
    .unwrap();
    assert_eq!(written.matches, Match::Prefix("kv/a/".to_owned()));
    assert_eq!(written.scope.get("mount").map(String::as_str), Some("kv"));
    assert_eq!(written.operation, eso_relay::event::Operation::Updated);

    let below = event(
        &json!({ "match": "prefix" }),
        &json!({ "subject": "kv/a/" }),
    )
    .unwrap();
    assert_eq!(below.matches, Match::Prefix("kv/a/".to_owned()));
    let place = event(
        &json!({ "match": "scope", "scope": scope }),
        &json!({ "data": { "mount": "kv" } }),
    )
    .unwrap();
    assert_eq!(place.matches, Match::Scope);
    let told = event(
        &json!({ "match": "/how", "allow_all": true }),
        &json!({ "data": { "how": "all" } }),
    )
    .unwrap();
    assert_eq!(told.matches, Match::All);
}

#[test]
fn our_own_data_is_checked_and_what_is_wrong_is_named() {
    let long = "x".repeat(257);
    let many: BTreeMap<String, &str> = (0..9).map(|at| (format!("a{at}"), "b")).collect();
    for (data, expected) in [
        (
            json!({ "match": "do-not-leak", "keys": ["a"] }),
            "data.match is not exact, prefix, scope or all",
        ),
        (
            json!({ "match": 1, "keys": ["a"] }),
            "data.match is not exact, prefix, scope or all",
        ),
        (
            json!({ "match": [], "keys": ["a"] }),
            "data.match is neither a string nor a number",
        ),
        (json!({ "match": "exact" }), "data.keys: no key"),
        (
            json!({ "match": "exact", "keys": [""] }),
            "data.keys: key 0 is empty",
        ),
        (
            json!({ "match": "prefix", "keys": ["a", "b"] }),
            "data.keys: `prefix` takes one key",
        ),
        (json!({ "match": "scope" }), "data.scope is empty"),
        (
            json!({ "match": "all" }),
            "data.match: `all` is not allowed here (setting `mapping.allow_all`)",
        ),
        (
            json!({ "keys": "do-not-leak" }),
            "data has a field of the wrong type",
        ),
        (
            json!({ "keys": ["a"], "provider": "Not A Name" }),
            "data.provider is not a name of a-z, 0-9 and -",
        ),
        (
            json!({ "keys": ["a"], "scope": many }),
            "data.scope is too large",
        ),
        (
            json!({ "keys": ["a"], "scope": { "a": long } }),
            "data.scope is too large",
        ),
        (
            json!({ "keys": ["a"], "version": { "id": long } }),
            "data.version is too large",
        ),
        (json!([]), "data is not an object"),
    ] {
        let error = event(
            &json!({}),
            &json!({ "type": "secret.changed", "data": data.clone() }),
        );
        assert_eq!(
            error,
            Err(malformed(format!("element 0: {expected}"))),
            "{data}"
        );
    }
}

#[test]
fn what_the_specification_requires_is_required() {
    for (fields, expected) in [
        (json!({ "specversion": "2.0" }), "specversion is not 1.x"),
        (json!({ "specversion": null }), "specversion is missing"),
        (json!({ "type": null }), "type is missing"),
        (json!({}), "subject is missing"),
        (json!({ "subject": "" }), "subject: key 0 is empty"),
    ] {
        let error = event(&json!({}), &fields);
        assert_eq!(
            error,
            Err(malformed(format!("element 0: {expected}"))),
            "{fields}"
        );
    }
    // Binary data has another name, in which nothing is looked for.
    let error = event(&json!({ "keys": "/k" }), &json!({ "data_base64": "e30=" }));
    assert_eq!(error, Err(malformed("element 0: data is missing")));
}

#[test]
fn the_media_type_of_the_data_matters_only_where_it_is_read() {
    for kind in ["text/plain", "application/json", "application/xml"] {
        let read = event(
            &json!({}),
            &json!({ "datacontenttype": kind, "subject": "a", "data": "do-not-leak" }),
        );
        assert_eq!(read.unwrap().matches.keys(), ["a"]);
    }
    let text = [("content-type", "text/plain"), ("ce-subject", "a")];
    assert!(binary(&text, b"do-not-leak", &json!({})).is_ok());
    let error = binary(&text, b"do-not-leak", &json!({ "keys": "/k" }));
    assert!(
        matches!(error, Err(DecodeError::NotJson { .. })),
        "{error:?}"
    );
}

#[test]
fn attributes_in_headers_are_unquoted_then_decoded() {
    for (value, expected) in [
        ("prod/d%C3%BC", "prod/dü"),
        (r#""prod/db""#, "prod/db"),
        (r#""a\"b\\c%20d""#, r#"a"b\c d"#),
        (r#"a"b"#, r#"a"b"#),
        ("%2525", "%25"),
    ] {
        let read = binary(&[("ce-subject", value)], b"", &json!({})).unwrap();
        assert_eq!(read.matches.keys(), [expected]);
    }
    for wrong in ["%", "%4", "%zz", "%ff"] {
        let error = binary(&[("ce-subject", wrong)], b"", &json!({}));
        assert_eq!(
            error,
            Err(malformed(
                "element 0: subject is neither a string nor a number"
            )),
            "{wrong}"
        );
    }
}
