//! Whatever happened before, the index knows what it should.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::matching::{index::lookup::Family, provider::Provider};

fn reference() -> impl Strategy<Value = Reference> {
    let store = prop_oneof![
        "[st]".prop_map(|name| store("n", &name)),
        "[st]".prop_map(|name| cluster_store(&name)),
    ];
    let form = prop_oneof![
        "/?[ab/]{1,4}".prop_map(Form::Key),
        (
            proptest::option::of("[ab/]{0,2}"),
            proptest::option::of("[ab^$.(]{0,3}")
        )
            .prop_map(|(path, regexp)| Form::Find(FindSpec {
                path,
                regexp,
                tags: false
            })),
    ];
    let version = proptest::option::weighted(0.2, "uuid/[12]");
    let property = proptest::option::weighted(0.2, "[pq]");
    (store, form, version, property).prop_map(|(store, form, version, property)| Reference {
        store,
        form,
        version,
        property,
    })
}

fn change() -> impl Strategy<Value = Change> {
    let references = proptest::collection::vec(reference(), 0..4);
    let settings = proptest::sample::select(vec![
        json!({ "akeyless": {} }),
        json!({ "conjur": {} }),
        json!({ "aws": {} }),
        json!({ "aws": { "prefix": "a" } }),
        json!({ "vault": { "path": "a" } }),
        json!({ "onepasswordSDK": {} }),
        json!({ "webhook": { "url": "https://h/a/{{ .remoteRef.key }}?v={{ .remoteRef.version }}" } }),
        json!({ "webhook": { "url": "https://h/a" } }),
        json!({ "webhook": { "url": "https://h/{{ .remoteRef.key | upper }}" } }),
    ]);
    prop_oneof![
        4 => ("[xyz]", references).prop_map(|(name, read)| applied(&format!("n/{name}"), read)),
        1 => "[xyz]".prop_map(|name| Change::Deleted(ObjectRef::new("n", &name))),
        2 => ("[st]", settings).prop_map(|(name, spec)| configured(&cluster_store(&name), &spec)),
        1 => "[st]".prop_map(|name| Change::StoreDeleted(cluster_store(&name))),
    ]
}

fn keys(change: &Change) -> Vec<String> {
    let references = match change {
        Change::Applied(object) => &object.references[..],
        _ => &[],
    };
    let key = |reference: &Reference| match &reference.form {
        Form::Key(key) => Some(key.clone()),
        Form::Find(_) => None,
    };
    references.iter().filter_map(key).collect()
}

/// Of which object or store it speaks.
fn subject(change: &Change) -> String {
    match change {
        Change::Applied(object) => object.target.to_string(),
        Change::Deleted(target) => target.to_string(),
        Change::StoreApplied(store) => store.name.name().to_owned(),
        Change::StoreDeleted(name) => name.name().to_owned(),
        _ => String::new(),
    }
}

fn through_s() -> Reach {
    Reach {
        stores: vec![StorePattern {
            kind: None,
            name: Pattern::new("s"),
        }],
        ..Reach::default()
    }
}

/// The objects that the event means, whether they can be refreshed or not.
fn meant(index: &Index, event: &Event) -> Vec<String> {
    let Matched {
        targets, skipped, ..
    } = index.matching(event);
    let skipped = skipped.into_iter().map(|left| left.target);
    let mut names: Vec<_> = targets.into_iter().chain(skipped).collect();
    names.sort();
    names.iter().map(ObjectRef::to_string).collect()
}

/// Who has a reference that differs in nothing.
fn compared(index: &Index, event: &Event) -> Vec<String> {
    let names = ["x", "y", "z"].map(|name| ObjectRef::new("n", name));
    let means = |target: &&ObjectRef| {
        let references = index.compare(target, event).unwrap_or_default();
        references
            .iter()
            .any(|reference| reference.differs.is_empty())
    };
    names
        .iter()
        .filter(means)
        .map(ObjectRef::to_string)
        .collect()
}

proptest! {
    #[test]
    fn an_index_knows_what_one_knows_that_has_seen_only_the_end(
        history in proptest::collection::vec(change(), 0..16),
        key in "/?[ab/]{1,4}",
    ) {
        let mut seen = std::collections::HashSet::new();
        let end = history.iter().rev().filter(|change| seen.insert(subject(change)));
        let fresh = index(end.cloned());
        let keys: Vec<String> = history.iter().flat_map(keys).collect();
        let index = index(history);
        let mut matches = vec![Match::Prefix(key), Match::Scope, Match::All];
        for key in &keys {
            for name in [key.clone(), format!("a{key}"), format!("a/data/{key}"), format!("https://h/a/{key}")] {
                matches.push(Match::Exact(Keys::one(name).unwrap()));
            }
        }
        for provider in ["generic", "akeyless", "conjur", "aws-sm", "vault", "onepassword", "webhook"] {
            for matches in &matches {
                let event = event(provider, matches.clone());
                let (known, expected) = (matching(&index, &event), matching(&fresh, &event));
                prop_assert_eq!(&known, &expected, "{} {:?}", provider, matches);
                prop_assert_eq!(meant(&index, &event), compared(&index, &event), "{} {:?}", provider, matches);
                let within = Event { target: Some(through_s()), ..event };
                prop_assert_eq!(meant(&index, &within), compared(&index, &within), "{} {:?}", provider, matches);
            }
        }
    }

    /// An event made from a reference always matches it, and removed objects leave nothing behind.
    #[test]
    fn no_history_makes_the_index_miss_a_reference(
        history in proptest::collection::vec(change(), 0..12),
        last in proptest::collection::vec(reference(), 0..4),
    ) {
        let mut index = index(history);
        index.apply(applied("n/x", last.clone()));
        for reference in &last {
            let Form::Key(key) = &reference.form else { continue };
            let id = index.stores.iter().find(|(_, store)| store.name == reference.store);
            let provider = match id.map(|(_, store)| &store.view.family) {
                Some(Family::Of(Provider::Akeyless)) => "akeyless",
                Some(Family::Of(Provider::Other(_)) | Family::Unknown) => "conjur",
                _ => "generic",
            };
            for provider in [provider, "generic"] {
                let Matched { targets, skipped, .. } = index.matching(&exact(provider, key));
                let mut meant = targets.iter().chain(skipped.iter().map(|one| &one.target));
                let found = meant.any(|target| target.name() == "x");
                prop_assert!(found, "{} {}", provider, key);
            }
        }
        for name in ["x", "y", "z"] {
            index.apply(Change::Deleted(ObjectRef::new("n", name)));
        }
        for name in ["s", "t"] {
            index.apply(Change::StoreDeleted(cluster_store(name)));
        }
        prop_assert_eq!(index.stats(), Stats::default());
        prop_assert!(index.lookup.is_empty(), "something of them is left");
        prop_assert_eq!(index.stores.iter().count(), 0);
        prop_assert!(index.details.is_empty());
        prop_assert!(index.templates.is_empty());
    }
}
