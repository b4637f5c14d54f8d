//! Stores of ESO's webhook provider: what the index adds to their rules.

use serde_json::json;

use super::*;
use crate::{
    matching::{
        index::{Differs, lookup::Family},
        provider::Provider,
    },
    object::Unrefreshable,
};

const PLAIN: &str = "https://h/s/{{ .remoteRef.key }}";
const FULL: &str =
    "https://h/{{ .remoteRef.namespace }}/{{ .remoteRef.key }}?p={{ .remoteRef.property }}";

fn reading(name: &StoreRef, url: &str) -> Change {
    configured(name, &json!({ "webhook": { "url": url } }))
}

fn property(store: &StoreRef, of: &str, property: &str) -> Reference {
    Reference {
        property: Some(property.to_owned()),
        ..key(store, of)
    }
}

#[test]
fn one_document_means_all_its_keys() {
    let (document, other) = (cluster_store("document"), cluster_store("other"));
    let index = index([
        reading(&document, "https://h/secrets"),
        reading(&other, PLAIN),
        applied("n/user", vec![key(&document, "username")]),
        applied("n/word", vec![key(&document, "password")]),
        applied(
            "m/both",
            vec![key(&document, "username"), key(&document, "password")],
        ),
        applied("n/other", vec![key(&other, "username")]),
    ]);
    let all = ["m/both", "n/user", "n/word"];
    // One that names no provider compares URLs too.
    for provider in ["webhook", "generic"] {
        for document in ["https://h/secrets", "/secrets/"] {
            assert_eq!(
                matching(&index, &exact(provider, document)),
                all,
                "{document}"
            );
        }
        let user = ["m/both", "n/other", "n/user"];
        assert_eq!(matching(&index, &exact(provider, "username")), user);
        let by_url = exact(provider, "https://h/s/username");
        assert_eq!(matching(&index, &by_url), ["n/other"]);
        let elsewhere = exact(provider, "https://i/secrets");
        assert!(matching(&index, &elsewhere).is_empty());
        for (host, expected) in [("h", 4), ("i", 0)] {
            let event = Event {
                scope: [("host".to_owned(), host.to_owned())].into(),
                ..event(provider, Match::Scope)
            };
            assert_eq!(
                matching(&index, &event).len(),
                expected,
                "{provider} {host}"
            );
        }
    }
    let foreign = exact("akeyless", "https://h/secrets");
    assert!(matching(&index, &foreign).is_empty());
}

#[test]
fn namespace_and_property_count() {
    let s = cluster_store("s");
    let objects = || {
        [
            applied(
                "team-a/x",
                vec![property(&s, "db", "user"), key(&s, "other")],
            ),
            applied("team-a/y", vec![property(&s, "db", "word")]),
            applied("team-b/x", vec![property(&s, "db", "user")]),
        ]
    };
    let store = || [reading(&s, FULL)];
    for changes in [
        objects().into_iter().chain(store()).collect(),
        store().into_iter().chain(objects()).collect::<Vec<_>>(),
        // Updated with the same.
        objects()
            .into_iter()
            .chain(store())
            .chain(objects())
            .collect(),
    ] {
        let mut index = index(changes);
        let of = |index: &Index, name: &str| matching(index, &exact("webhook", name));
        assert_eq!(of(&index, "https://h/team-a/db?p=user"), ["team-a/x"]);
        assert_eq!(of(&index, "/team-a/db"), ["team-a/x", "team-a/y"]);
        assert_eq!(of(&index, "/team-b/db?p=word"), [""; 0]);
        assert_eq!(of(&index, "db"), ["team-a/x", "team-a/y", "team-b/x"]);
        index.apply(applied("team-a/y", vec![property(&s, "db", "user")]));
        assert_eq!(
            of(&index, "https://h/team-a/db?p=user"),
            ["team-a/x", "team-a/y"]
        );
        index.apply(reading(&s, PLAIN));
        assert_eq!(
            of(&index, "https://h/s/db"),
            ["team-a/x", "team-a/y", "team-b/x"]
        );
        index.apply(reading(&s, FULL));
        assert_eq!(of(&index, "/team-b/db?p=user"), ["team-b/x"]);
    }
}

/// The others take no memory for them, so those of a store that becomes one are unknown.
#[test]
fn properties_are_kept_for_these_stores_alone() {
    let s = cluster_store("s");
    let x = || applied("n/x", vec![property(&s, "db", "user")]);
    let mut index = index([x()]);
    assert!(!index.details.is_empty());
    index.apply(provided(&s, "akeyless"));
    assert!(index.details.is_empty());
    index.apply(x());
    assert!(index.details.is_empty());
    index.apply(reading(&s, FULL));
    let other = exact("webhook", "/n/db?p=word");
    assert_eq!(matching(&index, &other), ["n/x"]);
    index.apply(x());
    assert!(matching(&index, &other).is_empty());
    assert_eq!(matching(&index, &exact("webhook", "/n/db?p=user")), ["n/x"]);
    index.apply(Change::Deleted(ObjectRef::new("n", "x")));
    index.apply(Change::StoreDeleted(s));
    assert!(index.details.is_empty() && index.lookup.is_empty());
}

#[test]
fn a_version_pins_nothing() {
    let s = store("n", "s");
    let pinned = Reference {
        version: Some("3".to_owned()),
        ..key(&s, "db")
    };
    let index = index([
        reading(
            &s,
            "https://h/{{ .remoteRef.key }}/{{ .remoteRef.version }}",
        ),
        applied("n/x", vec![pinned]),
    ]);
    for name in ["db", "https://h/db/3", "/db/3"] {
        assert_eq!(matching(&index, &exact("webhook", name)), ["n/x"], "{name}");
    }
    assert!(matching(&index, &exact("webhook", "/db/4")).is_empty());
}

#[test]
fn an_unknown_store_matches_by_a_likely_key() {
    let s = cluster_store("s");
    let index = index([applied("n/x", vec![key(&s, "a/b")])]);
    for (name, found) in [
        ("a%2Fb", true),
        ("https://h/v1/a%2Fb/value", true),
        ("/v1/a/b", true),
        ("/v1?key=a%2Fb", true),
        ("/v1/a/c", false),
    ] {
        let found_now = matching(&index, &exact("webhook", name)).len() == 1;
        assert_eq!(found_now, found, "{name}");
    }
}

#[test]
fn a_find_is_left_out_or_the_reason() {
    let (web, other) = (store("n", "web"), store("n", "other"));
    let mut index = index([
        reading(&web, PLAIN),
        provided(&other, "akeyless"),
        applied("n/only", vec![find(&web, None, None)]),
        applied("n/mixed", vec![find(&web, None, None), key(&web, "db")]),
        applied(
            "n/two",
            vec![find(&web, None, None), find(&other, None, None)],
        ),
    ]);
    let skipped = |index: &Index, event: &Event| {
        let skipped = index.matching(event).skipped.into_iter();
        let shown = skipped.map(|one| format!("{} {}", one.target, one.reason));
        shown.collect::<Vec<_>>()
    };
    let reason = ["n/only find_not_supported"];
    for (event, refreshed) in [
        (exact("webhook", "db"), &["n/mixed"][..]),
        (exact("webhook", "web"), &[]),
        (exact("generic", "db"), &["n/mixed", "n/two"]),
        (event("webhook", Match::Scope), &["n/mixed"]),
        (event("generic", Match::All), &["n/mixed", "n/two"]),
    ] {
        assert_eq!(matching(&index, &event), refreshed, "{event:?}");
        assert_eq!(skipped(&index, &event), reason, "{event:?}");
    }
    let event = exact("webhook", "web");
    let differs = |name: &str| {
        let compared = index.compare(&ObjectRef::new("n", name), &event).unwrap();
        compared.into_iter().next().unwrap().differs
    };
    assert_eq!(differs("mixed"), [Differs::FindNotSupported]);
    assert_eq!(differs("only"), []);
    // The object's own reasons come first.
    let mut only = secret("n/only", vec![find(&web, None, None)]);
    only.refreshable = Refreshable::No(Unrefreshable::CreatedOnce);
    index.apply(Change::Applied(only));
    assert_eq!(skipped(&index, &event), ["n/only created_once"]);
}

/// An event about one document is not compared with every reference of its store.
#[test]
fn only_what_may_be_at_the_document_is_compared() {
    let s = cluster_store("s");
    let objects = (0..100).map(|at| applied(&format!("n/{at}"), vec![key(&s, &format!("k{at}"))]));
    for (url, event, compared) in [
        (PLAIN, "https://h/s/k7", 1),
        (PLAIN, "/s/k7", 1),
        ("https://h/s?q={{ .remoteRef.key }}", "/s?q=k7", 1),
        (
            "https://h/s/{{ .remoteRef.key }}?t={{ .auth.t }}",
            "/s/k7?t=word",
            1,
        ),
        (
            "https://h/s/{{ .remoteRef.key }}/{{ .auth.t }}",
            "/s/k7/x",
            1,
        ),
        ("https://h/s/{{ .remoteRef.key | upper }}", "/s/K7", 100),
    ] {
        let index = index(objects.clone().chain([reading(&s, url)]));
        let event = exact("webhook", event);
        let query = Provider::Webhook.query(&event);
        let mut found = 0;
        let family = Family::Of(Provider::Webhook);
        index.lookup.candidates(&family, &query, |_| found += 1);
        assert_eq!(found, compared, "{url}");
    }
}
