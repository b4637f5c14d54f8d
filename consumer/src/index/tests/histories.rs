//! Whatever happened before, the index knows what it should.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{index::lookup::Family, provider::Provider};

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
            .prop_map(|(path, regexp)| Form::Find(FindSpec { path, regexp })),
    ];
    (store, form).prop_map(|(store, form)| Reference { store, form })
}

fn change() -> impl Strategy<Value = Change> {
    let references = proptest::collection::vec(reference(), 0..4);
    let settings = proptest::sample::select(vec![
        json!({ "akeyless": {} }),
        json!({ "conjur": {} }),
        json!({ "aws": { "prefix": "a" } }),
        json!({ "aws": { "prefix": "b" } }),
        json!({ "vault": { "path": "a" } }),
        json!({ "onepasswordSDK": {} }),
    ]);
    prop_oneof![
        4 => ("[xyz]", references).prop_map(|(name, read)| applied(&format!("n/{name}"), read)),
        1 => "[xyz]".prop_map(|name| Change::Deleted(Target::new("n", &name))),
        2 => ("[st]", settings).prop_map(|(name, spec)| configured(&cluster_store(&name), &spec)),
        1 => "[st]".prop_map(|name| Change::StoreDeleted(cluster_store(&name))),
    ]
}

proptest! {
    /// An event made from a reference always means it; and an index that has seen a history knows
    /// what one knows that has seen only its end.
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
                let found = matching(&index, &exact(provider, key));
                prop_assert!(found.contains(&"n/x".to_owned()), "{} {}", provider, key);
            }
        }
        for name in ["x", "y", "z"] {
            index.apply(Change::Deleted(Target::new("n", name)));
        }
        for name in ["s", "t"] {
            index.apply(Change::StoreDeleted(cluster_store(name)));
        }
        prop_assert_eq!(index.stats(), Stats::default());
        prop_assert!(index.lookup.is_empty(), "something of them is left");
        prop_assert_eq!(index.stores.iter().count(), 0);
    }
}
