mod finds;
mod histories;
mod owned;
mod permits;
mod providers;
mod pushes;
mod skipped;
mod templates;
mod watch_list;
mod webhook;
mod why;
mod workloads;

use eso_relay::event::{
    Event, Keys, Kind, Match, Operation, Pattern, Reach, StoreKind, StorePattern, Version,
};

use super::*;
use crate::{matching::provider::Backend, object::ListKind};

fn store(namespace: &str, name: &str) -> StoreRef {
    StoreRef::Namespaced {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn cluster_store(name: &str) -> StoreRef {
    StoreRef::Cluster {
        name: name.to_owned(),
    }
}

fn key(store: &StoreRef, key: &str) -> Reference {
    Reference {
        store: store.clone(),
        form: Form::Key(key.to_owned()),
        version: None,
        property: None,
    }
}

fn find(store: &StoreRef, path: Option<&str>, regexp: Option<&str>) -> Reference {
    let form = Form::Find(FindSpec {
        path: path.map(str::to_owned),
        regexp: regexp.map(str::to_owned),
        tags: false,
    });
    Reference {
        form,
        ..key(store, "")
    }
}

fn secret(target: &str, references: Vec<Reference>) -> ExternalSecret {
    let (namespace, name) = target.split_once('/').unwrap();
    ExternalSecret::new(ObjectRef::new(namespace, name), references)
}

fn applied(target: &str, references: Vec<Reference>) -> Change {
    Change::Applied(secret(target, references))
}

fn configured(name: &StoreRef, provider: &serde_json::Value) -> Change {
    Change::StoreApplied(Store {
        name: name.clone(),
        backend: Backend::of_store(provider),
        admits: Admits::default(),
    })
}

fn provided(name: &StoreRef, provider: &str) -> Change {
    configured(name, &serde_json::json!({ provider: {} }))
}

fn index(changes: impl IntoIterator<Item = Change>) -> Index {
    let mut index = Index::new();
    for change in changes {
        index.apply(change);
    }
    index
}

fn event(provider: &str, matches: Match) -> Event {
    Event {
        provider: provider.parse().unwrap(),
        matches,
        scope: [("region".to_owned(), "eu".to_owned())].into(),
        ..crate::tests::event("1")
    }
}

fn exact(provider: &str, key: &str) -> Event {
    event(provider, Match::Exact(Keys::one(key).unwrap()))
}

fn matching(index: &Index, event: &Event) -> Vec<String> {
    let mut names: Vec<_> = index
        .matching(event)
        .targets
        .iter()
        .map(ObjectRef::to_string)
        .collect();
    names.sort();
    names
}

#[test]
fn keys_match_as_in_the_first_release() {
    let any = store("n", "s");
    for (reference, event, matches) in [
        ("/a/b", "a/b", true),
        ("a/b", "/a/b", true),
        ("a/b", "a/b", true),
        ("a/b", "a/b/", false),
        ("a/b", "a/bc", false),
        ("a/b/c", "a/b", false),
        (
            "/Chris Gruel/events/Test1",
            "Chris Gruel/events/Test1",
            true,
        ),
    ] {
        for provider in [None, Some("akeyless"), Some("vault")] {
            let mut index = index([applied("n/x", vec![key(&any, reference)])]);
            if let Some(provider) = provider {
                index.apply(provided(&any, provider));
            }
            let found = index.matching(&exact("generic", event)).targets.len();
            assert_eq!(found == 1, matches, "{reference} {event} {provider:?}");
        }
    }
}

#[test]
fn the_index_is_the_inverse_of_what_objects_read() {
    let s = store("n", "s");
    let (w1, w2) = (["aws", "mysql"], ["aws", "docker"]);
    let references = |keys: [&str; 2]| keys.map(|name| key(&s, name)).to_vec();
    let mut index = index([
        applied("n/w1", references(w1)),
        applied("n/w2", references(w2)),
    ]);
    let read = |index: &Index, key| matching(index, &exact("generic", key));
    assert_eq!(read(&index, "aws"), ["n/w1", "n/w2"]);
    assert_eq!(read(&index, "mysql"), ["n/w1"]);
    assert_eq!(read(&index, "docker"), ["n/w2"]);
    let gone = index.apply(Change::Deleted(ObjectRef::new("n", "w1")));
    assert_eq!(gone, [Observation::Gone(ObjectRef::new("n", "w1"))]);
    assert_eq!(read(&index, "aws"), ["n/w2"]);
    assert_eq!(read(&index, "mysql"), Vec::<String>::new());
}

#[test]
fn an_event_matches_its_provider_and_unknown_stores() {
    let (a, v, missing) = (store("n", "a"), store("n", "v"), store("n", "missing"));
    let index = index([
        provided(&a, "akeyless"),
        provided(&v, "azurekv"),
        applied("n/a", vec![key(&a, "k")]),
        applied("n/v", vec![key(&v, "k")]),
        applied("n/m", vec![key(&missing, "k")]),
    ]);
    assert_eq!(matching(&index, &exact("akeyless", "/k")), ["n/a", "n/m"]);
    assert_eq!(matching(&index, &exact("azure-kv", "k")), ["n/m", "n/v"]);
    let all = ["n/a", "n/m", "n/v"];
    assert_eq!(matching(&index, &exact("generic", "k")), all);
    let scope = event("akeyless", Match::Scope);
    assert_eq!(matching(&index, &scope), ["n/a", "n/m"]);
    assert_eq!(matching(&index, &event("akeyless", Match::All)), all);
}

#[test]
fn a_store_may_appear_late_change_and_vanish() {
    let s = cluster_store("s");
    let mut index = index([
        applied("n/x", vec![key(&s, "k"), find(&s, None, Some("^f"))]),
        applied("n/y", vec![key(&store("n", "s"), "k")]),
        provided(&store("n", "s"), "gitlab"),
    ]);
    let means = |index: &Index, provider| {
        let found = ["k", "f1"].map(|key| matching(index, &exact(provider, key)).len());
        assert_eq!(found[0], found[1], "keys and patterns go together");
        found[0] == 1
    };
    assert!(means(&index, "akeyless") && means(&index, "vault"));
    index.apply(provided(&s, "akeyless"));
    assert!(means(&index, "akeyless") && !means(&index, "vault"));
    index.apply(provided(&s, "vault"));
    assert!(!means(&index, "akeyless") && means(&index, "vault"));
    index.apply(Change::StoreDeleted(s));
    assert!(means(&index, "akeyless") && means(&index, "vault"));
    assert_eq!(index.stats().stores, 1);
}

#[test]
fn tenancy_holds_for_each_reference_and_not_for_the_object() {
    let (mine, theirs) = (cluster_store("mine-1"), store("n", "theirs"));
    let index = index([
        applied("n/both", vec![key(&mine, "a"), key(&theirs, "b")]),
        applied("other/x", vec![key(&mine, "a")]),
    ]);
    let reach = Reach {
        stores: vec![StorePattern {
            kind: Some(StoreKind::ClusterSecretStore),
            name: Pattern::new("mine-*"),
        }],
        namespaces: vec![Pattern::new("n")],
        clusters: Vec::new(),
    };
    let within = |event: Event| Event {
        target: Some(reach.clone()),
        ..event
    };
    assert_eq!(matching(&index, &within(exact("generic", "a"))), ["n/both"]);
    assert!(matching(&index, &within(exact("generic", "b"))).is_empty());
    for wide in [Match::All, Match::Scope, Match::Prefix("a".to_owned())] {
        assert_eq!(
            matching(&index, &within(event("generic", wide))),
            ["n/both"]
        );
    }
    let prefix = Match::Prefix("b".to_owned());
    assert!(matching(&index, &within(event("generic", prefix))).is_empty());
}

#[test]
fn a_prefix_means_what_lies_below_it() {
    let s = store("n", "s");
    for (reference, prefix, matches) in [
        (key(&s, "/prod/db"), "prod", true),
        (key(&s, "prod/db"), "/prod/", true),
        (key(&s, "prod"), "prod", true),
        (key(&s, "production/db"), "prod", false),
        (key(&s, "x"), "/", true),
        (find(&s, Some("prod/team"), None), "prod", true),
        (find(&s, Some("prod"), None), "prod/team", true),
        (find(&s, Some("test"), None), "prod", false),
        (find(&s, None, Some("x")), "prod", true),
    ] {
        let index = index([applied("n/x", vec![reference.clone()])]);
        let event = event("generic", Match::Prefix(prefix.to_owned()));
        assert_eq!(
            index.matching(&event).targets.len() == 1,
            matches,
            "{reference:?} {prefix}"
        );
    }
}

#[test]
fn a_list_removes_only_what_it_lacks() {
    let listing = |kind, namespace: &str| Listing {
        kind,
        namespace: Some(namespace.to_owned()),
    };
    let secrets = listing(ListKind::ExternalSecrets, "n");
    let stores = listing(ListKind::SecretStores, "n");
    let (s, t) = (store("n", "s"), store("n", "t"));
    let mut index = index([
        provided(&s, "vault"),
        provided(&t, "vault"),
        applied("n/stays", vec![key(&s, "k")]),
        applied("n/vanished", vec![key(&t, "k")]),
        applied("elsewhere/x", vec![key(&store("elsewhere", "s"), "k")]),
        Change::ListBegins(secrets.clone()),
        // Another list in between, and one that is interrupted and restarted.
        Change::ListBegins(stores.clone()),
        applied("n/stays", vec![key(&s, "k")]),
        Change::ListBegins(secrets.clone()),
        provided(&s, "vault"),
        applied("n/stays", vec![key(&s, "k")]),
        applied("n/new", vec![]),
    ]);
    assert_eq!(index.stats().objects, 4, "nothing is gone before the end");
    let gone = index.apply(Change::ListEnds(secrets));
    assert_eq!(gone, [Observation::Gone(ObjectRef::new("n", "vanished"))]);
    assert_eq!(index.apply(Change::ListEnds(stores)), []);
    assert_eq!((index.stats().objects, index.stats().stores), (3, 1));
    let all = ["elsewhere/x", "n/stays"];
    assert_eq!(matching(&index, &exact("generic", "k")), all);
}

#[test]
fn the_annotation_is_known_as_the_watch_last_said() {
    let value = "0123456789abcdef0123;settle".parse().unwrap();
    let target = ObjectRef::new("n", "x");
    let mut index = Index::new();
    let carries = |value| {
        vec![Observation::Carries {
            target: target.clone(),
            value,
            sync: SyncState::Waiting,
        }]
    };
    assert_eq!(index.apply(applied("n/x", vec![])), carries(None));
    let mut object = secret("n/x", vec![]);
    object.value = Some(value);
    assert_eq!(index.apply(Change::Applied(object)), carries(Some(value)));
    assert_eq!(index.carried(&target), (Some(value), SyncState::Waiting));
    assert!(!index.is_synced());
    index.apply(Change::Synced);
    assert!(index.is_synced());
}

#[test]
fn a_malformed_object_is_counted_until_it_is_mended() {
    let mut index = Index::new();
    let mut object = secret("n/x", vec![]);
    object.problems.push("data is not a list".to_owned());
    index.apply(Change::Applied(object));
    assert_eq!(index.stats().malformed, 1);
    index.apply(applied("n/x", vec![]));
    assert_eq!(index.stats().malformed, 0);
}
