use eso_relay::event::{Kind, Operation};

use super::{
    kit::{assert_events, content, decode, ignored},
    *,
};

fn generic(mapping: &Value) -> Value {
    json!({ "format": "generic", "mapping": mapping })
}

#[test]
fn each_member_of_a_list_is_a_change_of_its_own() {
    let config = json!({ "format": "generic", "provider": "doppler", "scope": { "config": "fixed" }, "mapping": {
        "events": "/projects", "each": "/secrets", "keys": ["/name", "/aliases"],
        "type": "/did", "types": ["rotate"], "operation": "updated",
        "scope": { "project": "/slug", "config": "/stage/name" },
    } });
    let body = include_bytes!("../fixtures/generic-lists.json");
    assert_events!("generic-lists", decode(&config, body));
    let Ok(Content::Events { ignored, .. }) = content(&source(&config), &[], body) else {
        unreachable!()
    };
    assert_eq!(ignored, [(3, Irrelevant::Type)]);
}

#[test]
fn members_have_the_id_of_their_event_and_their_place_at_every_retry() {
    let config = generic(&json!({ "each": "/names", "id": "/id" }));
    let ids = |body: &[u8]| -> Vec<String> {
        let events = decode(&config, body).unwrap();
        events.into_iter().map(|event| event.id).collect()
    };
    let body = br#"{"id":"e","names":["a","b"]}"#;
    assert_eq!(ids(body), ["e/0", "e/1"]);
    assert_eq!(ids(body), ids(body));
    assert_eq!(ids(br#"{"id":"e","names":["a"]}"#), ["e"]);
    assert_eq!(
        ids(br#"[{"id":"e","names":["a","b"]},{"id":"f","names":["c"]}]"#),
        ["e/0", "e/1", "f/2"]
    );
}

/// As queues, topics and shippers of logs carry what they were given.
#[test]
fn json_in_a_string_is_read_by_the_same_pointers() {
    let record = json!({ "detail": { "name": "a/b", "names": ["c", "d"], "at": 1 } }).to_string();
    let keys = |mapping: Value, body: &Value| -> Vec<String> {
        let events = decode(&generic(&mapping), body.to_string().as_bytes()).unwrap();
        events
            .into_iter()
            .flat_map(|event| event.matches.keys().to_vec())
            .collect()
    };
    let wrapped =
        json!({ "Message": record, "list": json!([{ "k": "e" }, { "k": "f" }]).to_string() });
    assert_eq!(
        keys(json!({ "keys": "/Message/detail/name" }), &wrapped),
        ["a/b"]
    );
    assert_eq!(
        keys(
            json!({ "events": "/Message", "keys": "/detail/name" }),
            &wrapped
        ),
        ["a/b"]
    );
    assert_eq!(
        keys(json!({ "events": "/list", "keys": "/k" }), &wrapped),
        ["e", "f"]
    );
    assert_eq!(
        keys(json!({ "each": "/list", "keys": "/k" }), &wrapped),
        ["e", "f"]
    );
    assert_eq!(
        keys(json!({ "each": "/Message/detail/names" }), &wrapped),
        ["c", "d"]
    );
    let records = json!({ "Records": [{ "body": record }, { "body": record }] });
    assert_eq!(
        keys(
            json!({ "events": "/Records", "keys": "/body/detail/names/1" }),
            &records
        ),
        ["d", "d"]
    );
    let texts = json!([record]);
    assert_eq!(keys(json!({ "keys": "/detail/name" }), &texts), ["a/b"]);
    assert_eq!(
        keys(
            json!({ "each": "/l", "keys": "/detail/name" }),
            &json!({ "l": texts })
        ),
        ["a/b"]
    );
    assert_eq!(
        keys(json!({ "keys": "/detail/name" }), &json!(record)),
        ["a/b"]
    );
    // What is pointed at is what it is: a key that looks like JSON stays a text.
    assert_eq!(
        keys(json!({ "keys": "/k" }), &json!({ "k": "{\"a\":1}" })),
        ["{\"a\":1}"]
    );
}

#[test]
fn an_attribute_without_a_value_is_left_out() {
    let config = json!({ "format": "generic", "scope": { "stage": "", "team": "x" }, "mapping": {
        "keys": "/k", "scope": { "project": "/p", "stage": "/s" },
    } });
    let events = decode(&config, br#"{"k":"a","p":"","s":"prod"}"#).unwrap();
    let scope: Vec<_> = events[0]
        .scope
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    assert_eq!(scope, [("team", "x")]);
    let placeless = json!({ "format": "generic", "mapping": { "scope": { "project": "/p" } } });
    let error = decode(&placeless, br#"{"p":""}"#);
    let expected = "element 0: its match is `scope`, and no attribute of the scope is there";
    assert_eq!(error, Err(malformed(expected)));
}

#[test]
fn a_list_of_nothing_is_irrelevant_and_another_type_needs_no_list() {
    let config = generic(&json!({ "each": "/names", "type": "/did", "types": ["rotate"] }));
    assert_eq!(
        ignored(&config, &[], br#"{"did":"rotate","names":[]}"#),
        ["empty"]
    );
    assert_eq!(ignored(&config, &[], br#"{"did":"look"}"#), ["type"]);
    assert_eq!(
        ignored(
            &config,
            &[],
            br#"[{"did":"look"},{"did":"rotate","names":[]}]"#
        ),
        ["type"]
    );
}

#[test]
fn how_an_event_matches_is_fixed_or_stands_in_it() {
    let scope = json!({ "project": "/project" });
    let keys = json!(["/path", "/alias"]);
    for (mapping, body, expected) in [
        (
            json!({ "keys": keys, "match": "exact" }),
            r#"{"path":"a"}"#,
            "exact [a] {}",
        ),
        (
            json!({ "keys": keys, "match": "prefix" }),
            r#"{"path":"a/","alias":"b"}"#,
            "prefix [a/] {}",
        ),
        (
            json!({ "keys": keys, "match": "prefix" }),
            r#"{"alias":"b/"}"#,
            "prefix [b/] {}",
        ),
        (
            json!({ "match": "scope", "scope": scope }),
            r#"{"project":"p","path":"a"}"#,
            "scope [] {project=p}",
        ),
        (
            json!({ "scope": scope }),
            r#"{"project":"p"}"#,
            "scope [] {project=p}",
        ),
        (
            json!({ "match": "all", "allow_all": true }),
            "{}",
            "all [] {}",
        ),
        (
            json!({ "keys": keys, "match": "/how" }),
            r#"{"how":"exact","path":"a","alias":"b"}"#,
            "exact [a b] {}",
        ),
        (
            json!({ "keys": keys, "match": "/how" }),
            r#"{"path":"a"}"#,
            "exact [a] {}",
        ),
        (
            json!({ "keys": keys, "match": "/how" }),
            r#"{"how":null,"path":"a"}"#,
            "exact [a] {}",
        ),
        (
            json!({ "keys": keys, "match": "/how" }),
            r#"{"how":"prefix","path":"a"}"#,
            "prefix [a] {}",
        ),
        (
            json!({ "keys": keys, "match": "/how", "scope": scope }),
            r#"{"how":"scope","project":7}"#,
            "scope [] {project=7}",
        ),
        (
            json!({ "keys": keys, "match": "/how", "allow_all": true }),
            r#"{"how":"all"}"#,
            "all [] {}",
        ),
        (
            json!({ "scope": scope, "match": "/how" }),
            r#"{"project":"p"}"#,
            "scope [] {project=p}",
        ),
        (
            json!({ "match": "prefix", "each": "/paths" }),
            r#"{"paths":["a/"]}"#,
            "prefix [a/] {}",
        ),
    ] {
        let events = decode(&generic(&mapping), body.as_bytes()).unwrap();
        let how = match events[0].matches {
            Match::Exact(_) => "exact",
            Match::Prefix(_) => "prefix",
            Match::Scope => "scope",
            Match::All => "all",
        };
        let scope: Vec<String> = events[0]
            .scope
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let found = format!(
            "{how} [{}] {{{}}}",
            events[0].matches.keys().join(" "),
            scope.join(" ")
        );
        assert_eq!(found, expected, "{mapping} {body}");
    }
}

#[test]
fn what_the_source_knows_of_the_scope_outweighs_the_payload() {
    let config = json!({ "format": "generic", "scope": { "project": "ours" }, "mapping": {
        "keys": "/key", "scope": { "project": "/project", "region": "/region" },
    } });
    let scope = |body: &str| decode(&config, body.as_bytes()).unwrap()[0].scope.clone();
    let attributes = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
        all.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    assert_eq!(
        scope(r#"{"key":"a","project":"theirs","region":"eu"}"#),
        attributes(&[("project", "ours"), ("region", "eu")])
    );
    assert_eq!(scope(r#"{"key":"a"}"#), attributes(&[("project", "ours")]));
}

#[test]
fn what_was_done_is_a_constant() {
    let one = |mapping| {
        decode(&generic(&mapping), br#"{"key":"a"}"#)
            .unwrap()
            .remove(0)
    };
    let event = one(json!({ "keys": "/key" }));
    assert_eq!(
        (event.operation, event.kind),
        (Operation::Unknown, Kind::SecretChanged)
    );
    let event = one(json!({ "keys": "/key", "operation": "deleted" }));
    assert_eq!(
        (event.operation, event.kind),
        (Operation::Deleted, Kind::SecretDeleted)
    );
}

#[test]
fn what_is_malformed_is_named_by_its_pointer() {
    let long = "do-not-leak".repeat(30);
    for (mapping, body, expected) in [
        (
            json!({ "each": "/l" }),
            r#"{"m":[]}"#.to_owned(),
            "element 0: /l is missing",
        ),
        (
            json!({ "each": "/l" }),
            r#"{"l":"do-not-leak"}"#.to_owned(),
            "element 0: /l is not an array",
        ),
        (
            json!({ "each": "/l" }),
            r#"{"l":[{"do-not-leak":1}]}"#.to_owned(),
            "element 0: /l/0 is not a name (setting `mapping.keys`)",
        ),
        (
            json!({ "each": "/l" }),
            r#"{"l":[true]}"#.to_owned(),
            "element 0: /l/0 is neither a string nor a number",
        ),
        (
            json!({ "each": "/l" }),
            r#"{"l":[null]}"#.to_owned(),
            "element 0: /l/0 is missing",
        ),
        (
            json!({ "each": "/l" }),
            r#"{"l":[""]}"#.to_owned(),
            "element 0: /l/0: key 0 is empty",
        ),
        (
            json!({ "each": "/l", "keys": "/k" }),
            r#"{"l":[{}]}"#.to_owned(),
            "element 0: /l/0: no key at /k",
        ),
        (
            json!({ "events": "/e", "keys": "/k" }),
            "{}".to_owned(),
            "/e is missing",
        ),
        (
            json!({ "keys": "/k", "match": "/m" }),
            r#"{"k":"a","m":"do-not-leak"}"#.to_owned(),
            "element 0: /m is not exact, prefix, scope or all",
        ),
        (
            json!({ "keys": "/k", "match": "/m" }),
            r#"{"k":"a","m":["exact"]}"#.to_owned(),
            "element 0: /m is neither a string nor a number",
        ),
        (
            json!({ "keys": "/k", "match": "/m" }),
            r#"{"k":"a","m":"all"}"#.to_owned(),
            "element 0: match: `all` is not allowed here (setting `mapping.allow_all`)",
        ),
        (
            json!({ "keys": "/k", "match": "/m" }),
            r#"{"k":"a","m":"scope"}"#.to_owned(),
            "element 0: its match is `scope`, and no attribute of the scope is there",
        ),
        (
            json!({ "scope": { "project": "/p" } }),
            "{}".to_owned(),
            "element 0: its match is `scope`, and no attribute of the scope is there",
        ),
        (
            json!({ "keys": "/k", "scope": { "project": "/p" } }),
            r#"{"k":"a","p":{}}"#.to_owned(),
            "element 0: /p is neither a string nor a number",
        ),
        (
            json!({ "keys": "/k", "scope": { "project": "/p" } }),
            format!(r#"{{"k":"a","p":"{long}"}}"#),
            "element 0: /p is longer than 256 bytes",
        ),
    ] {
        let error = decode(&generic(&mapping), body.as_bytes());
        assert_eq!(error, Err(malformed(expected)), "{body}");
    }
}

#[test]
fn too_many_members_are_refused_however_they_are_spread() {
    let config = generic(&json!({ "each": "/l" }));
    let half = format!(r#"{{"l":[{}"x"]}}"#, r#""x","#.repeat(MAX_ELEMENTS / 2));
    assert_eq!(
        decode(&config, half.as_bytes()).unwrap().len(),
        MAX_ELEMENTS / 2 + 1
    );
    let error = decode(&config, format!("[{half},{half}]").as_bytes());
    assert_eq!(error, Err(DecodeError::TooMany(MAX_ELEMENTS + 1)));
}
