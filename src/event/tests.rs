use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn fixture() -> Vec<Value> {
    serde_json::from_str(include_str!("fixtures/batch.json")).unwrap()
}

fn decode_one(value: &Value) -> Result<Event, EventError> {
    let body = serde_json::to_vec(&[value]).unwrap();
    decode_batch(&body).unwrap().remove(0)
}

#[test]
fn the_fixture_reads_as_a_person_reads_it() {
    let events = decode_batch(include_bytes!("fixtures/batch.json")).unwrap();
    let [Ok(first), Ok(second)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(first.source.as_str(), "akeyless-prod");
    assert_eq!(first.kind, Kind::SecretChanged);
    assert_eq!(first.matches.keys(), ["prod/db", "/prod/db"]);
    let target = first.target.as_ref().unwrap();
    assert!(target.allows_store(StoreKind::ClusterSecretStore, "akeyless-eu"));
    assert!(!target.allows_store(StoreKind::SecretStore, "akeyless-eu"));
    assert!(target.allows_namespace("team-a") && !target.allows_namespace("kube-system"));
    // Unknown fields, extensions and operations do not stop an older consumer.
    assert_eq!(second.matches, Match::Scope);
    assert_eq!(second.operation, Operation::Unknown);
}

#[test]
fn what_changes_the_meaning_is_refused() {
    let refuse = |path: &str, value: Value, expected: EventError| {
        let mut event = fixture().remove(0);
        *event.pointer_mut(path).unwrap() = value;
        assert_eq!(decode_one(&event), Err(expected), "{path}");
    };
    refuse("/specversion", json!("2.0"), EventError::Specversion);
    refuse("/specversion", json!("11.0"), EventError::Specversion);
    refuse("/type", json!("secret.exploded"), EventError::Kind);
    refuse("/id", json!(""), EventError::Id);
    refuse("/source", json!("akeyless-prod"), EventError::Source);
    refuse("/data/keys", json!([]), EventError::Keys(InvalidKeys::None));
    refuse(
        "/data/keys",
        json!(vec!["k"; 17]),
        EventError::Keys(InvalidKeys::TooMany(17)),
    );
    refuse(
        "/data/keys",
        json!(["k".repeat(2049)]),
        EventError::Keys(InvalidKeys::TooLong(0)),
    );
    refuse(
        "/data/keys",
        json!(["a", ""]),
        EventError::Keys(InvalidKeys::Empty(1)),
    );
    refuse("/data/match", json!("prefix"), EventError::Prefix);
    refuse(
        "/data/match",
        json!("some"),
        EventError::Shape("a field is missing or has the wrong type"),
    );
    let mut event = fixture().remove(1);
    event["data"]["scope"] = json!({});
    assert_eq!(decode_one(&event), Err(EventError::Scope));
}

#[test]
fn a_template_event_names_sources_of_templates_and_nothing_else() {
    let template = |matches: &str, keys: Value| {
        let mut event = fixture().remove(0);
        event["type"] = json!("template.changed");
        event["data"]["match"] = json!(matches);
        event["data"]["keys"] = keys;
        decode_one(&event)
    };
    let event = template("exact", json!(["ConfigMap/app", "Secret/app"])).unwrap();
    assert_eq!(event.kind, Kind::TemplateChanged);
    assert_eq!(
        decode_one(&serde_json::from_slice(&encode(&event)).unwrap()),
        Ok(event)
    );
    for (matches, keys) in [
        ("exact", json!(["app"])),
        ("exact", json!(["ConfigMap/app", "prod/db"])),
        ("prefix", json!(["ConfigMap/app"])),
        ("scope", json!([])),
        ("all", json!([])),
    ] {
        let refused = template(matches, keys.clone());
        assert_eq!(refused, Err(EventError::Template), "{matches} {keys}");
    }
}

#[test]
fn a_settle_within_its_bounds_is_read_and_none_is_not_written() {
    let settle = |text: &str| {
        let mut event = fixture().remove(0);
        event["data"]["settle"] = json!(text);
        decode_one(&event).map(|event| event.settle)
    };
    assert_eq!(settle("2s"), Ok(Some("2s".parse().unwrap())));
    for text in ["0s", "11m", "soon"] {
        assert!(matches!(settle(text), Err(EventError::Shape(_))), "{text}");
    }
    let event = decode_one(&fixture()[0]).unwrap();
    assert_eq!(event.settle, None);
    assert!(!String::from_utf8_lossy(&encode(&event)).contains("settle"));
}

#[test]
fn a_tracestate_is_optional_and_never_a_reason_to_refuse_the_event() {
    let with = |tracestate: Value| {
        let mut event = fixture().remove(0);
        event["tracestate"] = tracestate;
        decode_one(&event).unwrap()
    };
    let event = with(json!("rojo=1,congo=2"));
    let state = event.tracestate.as_ref().unwrap();
    assert_eq!(state.as_str(), "rojo=1,congo=2");
    let written: Value = serde_json::from_slice(&encode(&event)).unwrap();
    assert_eq!(written["tracestate"], "rojo=1,congo=2");
    let without = decode_one(&fixture()[0]).unwrap();
    assert_eq!(without.fingerprint(), event.fingerprint());
    let written: Value = serde_json::from_slice(&encode(&without)).unwrap();
    assert_eq!(written.get("tracestate"), None);
    let long = format!("rojo={},congo={}", "1".repeat(256), "2".repeat(256));
    for malformed in [json!("no state"), json!(7), json!(null), json!(long)] {
        assert_eq!(with(malformed.clone()), without, "{malformed}");
    }
    // It belongs to a trace.
    let mut alone = fixture().remove(1);
    alone["tracestate"] = json!("rojo=1");
    assert_eq!(decode_one(&alone).unwrap().tracestate, None);
}

#[test]
fn a_restart_is_written_only_where_it_is_asked_for() {
    let mut event = decode_one(&fixture()[0]).unwrap();
    let written = |event: &Event| String::from_utf8(encode(event).into()).unwrap();
    assert!(!event.restart && !written(&event).contains("restart"));
    event.restart = true;
    assert!(written(&event).contains(r#""restart":true"#));
}

#[test]
fn one_bad_event_does_not_take_the_good_ones_with_it() {
    let mut batch = fixture();
    batch[0]["specversion"] = json!("9.0");
    let events = decode_batch(&serde_json::to_vec(&batch).unwrap()).unwrap();
    assert_eq!(events[0], Err(EventError::Specversion));
    assert!(events[1].is_ok());
}

#[test]
fn what_is_no_batch_is_refused_whole() {
    assert_eq!(decode_batch(b"[]"), Err(BatchError::Empty));
    for body in [&b"{}"[..], b"", b"[", b"\xff\xfe", b"null"] {
        assert!(
            matches!(decode_batch(body), Err(BatchError::NotABatch { .. })),
            "{body:?}"
        );
    }
}

#[test]
fn two_events_never_share_a_fingerprint_and_one_keeps_its_own() {
    let event = decode_one(&fixture()[0]).unwrap();
    let other = Event {
        id: "other".to_owned(),
        ..event.clone()
    };
    let elsewhere = Event {
        source: "other".parse().unwrap(),
        ..event.clone()
    };
    assert_eq!(event.fingerprint(), event.clone().fingerprint());
    assert_ne!(event.fingerprint(), other.fingerprint());
    assert_ne!(event.fingerprint(), elsewhere.fingerprint());
    let text = event.fingerprint().to_string();
    assert_eq!(text.parse(), Ok(event.fingerprint()));
    assert!(
        text.to_uppercase().parse::<Fingerprint>().is_err()
            && text[1..].parse::<Fingerprint>().is_err()
    );
}

#[test]
fn a_star_stands_for_any_run_of_characters() {
    let cases = [
        ("akeyless*", "akeyless-eu", true),
        ("akeyless*", "vault", false),
        ("*", "", true),
        ("*-prod-*", "a-prod-b", true),
        ("*-prod-*", "a-stage-b", false),
        ("a*b*b", "ab", false),
        ("a*b*b", "abb", true),
        ("team.a", "team-a", false),
        ("", "x", false),
    ];
    for (pattern, name, expected) in cases {
        assert_eq!(
            Pattern::new(pattern).matches(name),
            expected,
            "{pattern} {name}"
        );
    }
}

fn slugs() -> impl Strategy<Value = Slug> {
    "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?".prop_map(|text| text.parse().unwrap())
}

fn timestamps() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_000_i64).prop_map(|ms| Timestamp::from_millisecond(ms).unwrap())
}

fn matches() -> impl Strategy<Value = Match> {
    prop_oneof![
        prop::collection::vec("\\PC{1,40}", 1..=MAX_KEYS)
            .prop_map(|keys| Match::Exact(Keys::new(keys).unwrap())),
        "\\PC{1,40}".prop_map(Match::Prefix),
        Just(Match::Scope),
        Just(Match::All),
    ]
}

prop_compose! {
    fn events()(
        id in "\\PC{1,60}", source in slugs(), provider in slugs(), matches in matches(),
        time in prop::option::of(timestamps()), received_at in timestamps(), traced in any::<bool>(),
        scope in prop::collection::btree_map("[a-z]{1,8}", "\\PC{0,20}", 1..4),
        version in prop::option::of(("\\PC{0,9}", prop::collection::vec("\\PC{0,9}", 0..3))),
        namespaces in prop::option::of(prop::collection::vec("[a-z*-]{1,9}", 0..3)),
        settle in prop::option::of(1..=600_000_u64), restart in any::<bool>(),
    ) -> Event {
        Event {
            id, source, kind: Kind::SecretChanged, time, provider,
            traceparent: traced.then(TraceParent::random),
            tracestate: (traced && restart).then(|| "rojo=1,congo=2".parse().unwrap()),
            operation: Operation::Updated, matches, scope, received_at,
            version: version.map(|(id, labels)| Version { id: Some(id), labels }),
            target: namespaces.map(|names| Reach {
                namespaces: names.into_iter().map(Pattern::new).collect(), ..Reach::default()
            }),
            settle: settle.map(|ms| std::time::Duration::from_millis(ms).try_into().unwrap()),
            restart,
            origin: Origin::default(),
        }
    }
}

proptest! {
    #[test]
    fn every_event_comes_back_as_it_went(batch in prop::collection::vec(events(), 1..5)) {
        let decoded: Vec<Event> = decode_batch(&encode_batch(&batch)).unwrap().into_iter().map(Result::unwrap).collect();
        prop_assert_eq!(decoded, batch);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        decode_batch(&bytes).ok();
    }
}

#[test]
fn a_hostile_depth_is_an_error() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(
        decode_batch(deep.as_bytes())
            .unwrap()
            .iter()
            .all(Result::is_err)
    );
}

#[test]
fn a_kind_is_called_as_on_the_wire() {
    for kind in [
        Kind::SecretChanged,
        Kind::SecretDeleted,
        Kind::ScopeChanged,
        Kind::RefreshRequested,
        Kind::TemplateChanged,
    ] {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}
