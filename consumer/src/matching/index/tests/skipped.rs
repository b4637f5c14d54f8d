//! What an event means and a refresh would not reach.

use super::*;
use crate::{
    matching::tenancy::Permitted,
    object::{ListKind, Unrefreshable},
};

#[test]
fn what_cannot_be_refreshed_is_found_and_given_apart() {
    let mut index = index([applied("n/x", vec![key(&store("n", "s"), "k")])]);
    let mut once = secret("n/once", vec![key(&store("n", "s"), "k")]);
    once.refreshable = Refreshable::No(Unrefreshable::CreatedOnce);
    let target = once.target.clone();
    // The engine has nothing to do for it, and need not wait for what it had.
    let gone = vec![Observation::Gone(target.clone())];
    assert_eq!(index.apply(Change::Applied(once.clone())), gone);
    let event = exact("generic", "k");
    let matched = index.matching(&event);
    let reason = Unrefreshable::CreatedOnce;
    assert_eq!(matched.skipped, [Skipped { target, reason }]);
    assert_eq!(matched.targets, [ObjectRef::new("n", "x")]);
    once.refreshable = Refreshable::Yes;
    index.apply(Change::Applied(once));
    assert!(index.matching(&event).skipped.is_empty());
    assert_eq!(matching(&index, &event), ["n/once", "n/x"]);
}

#[test]
fn one_denying_store_skips_the_object() {
    let (open, closed) = (cluster_store("open"), cluster_store("closed"));
    let only_team = Admits {
        foreign: false,
        role: None,
        namespaces: Some(Admitted {
            names: vec!["team".to_owned()],
            ..Admitted::default()
        }),
    };
    let admitting = |admits: &Admits| {
        Change::StoreApplied(Store {
            name: closed.clone(),
            backend: Backend::of_store(&serde_json::json!({ "akeyless": {} })),
            admits: admits.clone(),
        })
    };
    let foreign = Admits {
        foreign: true,
        role: None,
        namespaces: None,
    };
    let both = vec![key(&open, "k"), key(&closed, "other")];
    let mut index = index([
        applied("team/x", both.clone()),
        applied("other/x", both),
        applied("other/y", vec![key(&open, "k")]),
    ]);
    let all = ["other/x", "other/y", "team/x"];
    for (change, refreshed, reason) in [
        (admitting(&Admits::default()), &all[..], None),
        (
            admitting(&only_team),
            &all[1..],
            Some("store_denies_namespace"),
        ),
        (admitting(&foreign), &all[1..2], Some("foreign_controller")),
        // What is not there cannot be asked.
        (Change::StoreDeleted(closed.clone()), &all, None),
    ] {
        index.apply(change.clone());
        let event = exact("generic", "k");
        assert_eq!(matching(&index, &event), refreshed, "{change:?}");
        let skipped = index.matching(&event).skipped;
        assert_eq!(skipped.len(), 3 - refreshed.len(), "{change:?}");
        assert_eq!(skipped.first().map(|one| one.reason.as_str()), reason);
    }
}

#[test]
fn the_labels_of_a_namespace_count_as_they_are_at_the_moment() {
    let closed = cluster_store("closed");
    let labelled = |team: &str| Change::NamespaceApplied {
        name: "n".to_owned(),
        labels: [("team".to_owned(), team.to_owned())].into(),
        permitted: Permitted::default(),
    };
    let listing = Listing {
        kind: ListKind::Namespaces,
        namespace: None,
    };
    let mut index = index([
        applied("n/x", vec![key(&closed, "k")]),
        Change::StoreApplied(Store {
            name: closed.clone(),
            backend: Backend::of_store(&serde_json::json!({ "akeyless": {} })),
            admits: Admits {
                foreign: false,
                role: None,
                namespaces: Some(Admitted {
                    selectors: vec!["team=a".parse().unwrap()],
                    ..Admitted::default()
                }),
            },
        }),
    ]);
    let event = exact("akeyless", "k");
    let refreshed = |index: &Index| index.matching(&event).targets.len();
    // Not told yet.
    assert_eq!(refreshed(&index), 1);
    for (change, expected) in [
        (labelled("b"), 0),
        (labelled("a"), 1),
        (labelled("b"), 0),
        (Change::NamespaceDeleted("n".to_owned()), 1),
        (labelled("b"), 0),
        // What the list does not mention is gone.
        (Change::ListBegins(listing.clone()), 0),
        (Change::ListEnds(listing.clone()), 1),
        (labelled("b"), 0),
        (Change::ListBegins(listing.clone()), 0),
        (labelled("b"), 0),
        (Change::ListEnds(listing.clone()), 0),
        // Stale labels deny nothing.
        (Change::ListDenied(listing), 1),
    ] {
        index.apply(change.clone());
        assert_eq!(refreshed(&index), expected, "{change:?}");
    }
}

/// Of one store that lets in these namespaces, and those with the label `team=a`.
fn admitting(store: &StoreRef, names: &[&str]) -> Change {
    Change::StoreApplied(Store {
        name: store.clone(),
        backend: Backend::of_store(&serde_json::json!({ "akeyless": {} })),
        admits: Admits {
            foreign: false,
            role: None,
            namespaces: Some(Admitted {
                names: names.iter().map(|&name| name.to_owned()).collect(),
                selectors: vec!["team=a".parse().unwrap()],
                ..Admitted::default()
            }),
        },
    })
}

fn labelled(namespace: &str, team: &str) -> Change {
    Change::NamespaceApplied {
        name: namespace.to_owned(),
        labels: [("team".to_owned(), team.to_owned())].into(),
        permitted: Permitted::default(),
    }
}

#[test]
fn what_a_store_lets_in_is_told_once() {
    let (s, other) = (cluster_store("s"), cluster_store("other"));
    let both = vec![key(&s, "k"), key(&other, "k")];
    let reads = |name| Observation::Reads(ObjectRef::new("n", name));
    let mut index = index([
        applied("n/x", vec![key(&s, "k")]),
        applied("n/both", both),
        applied("open/x", vec![key(&s, "k")]),
        labelled("n", "b"),
        labelled("open", "a"),
        admitting(&s, &[]),
        admitting(&other, &[]),
        Change::Synced,
    ]);
    for (change, expected) in [
        // As it is already.
        (admitting(&s, &[]), vec![]),
        (admitting(&s, &["m"]), vec![]),
        (admitting(&s, &["n"]), vec![reads("x")]),
        (admitting(&s, &["n", "m"]), vec![]),
        (admitting(&other, &["n"]), vec![reads("both")]),
        (admitting(&s, &[]), vec![]),
        (labelled("n", "b"), vec![]),
        (labelled("n", "a"), vec![reads("both"), reads("x")]),
        (labelled("n", "a"), vec![]),
        // What is not there cannot be asked.
        (labelled("n", "b"), vec![]),
        (Change::StoreDeleted(s.clone()), vec![]),
    ] {
        let mut told = index.apply(change.clone());
        told.sort_by_key(|observation| format!("{observation:?}"));
        assert_eq!(told, expected, "{change:?}");
    }
}

#[test]
fn a_reader_of_fixed_versions_is_skipped() {
    let s = cluster_store("s");
    let pinned = |name: &str, version: &str| Reference {
        version: Some(version.to_owned()),
        ..key(&s, name)
    };
    let index = index([
        provided(&s, "aws"),
        applied("n/both", vec![pinned("k", "uuid/1"), key(&s, "k")]),
        applied("n/current", vec![pinned("k", "AWSCURRENT")]),
        applied("n/old", vec![key(&s, "other"), pinned("k", "uuid/1")]),
        applied("n/new", vec![pinned("k", "uuid/2"), pinned("k", "uuid/1")]),
    ]);
    let skipped = |event: &Event| -> Vec<String> {
        let skipped = index.matching(event).skipped.into_iter();
        skipped
            .map(|skipped| format!("{} {}", skipped.target, skipped.reason))
            .collect()
    };
    let version = |id: &str| Version {
        id: Some(id.to_owned()),
        labels: Vec::new(),
    };
    let updated = exact("aws-sm", "k");
    let to = |id| Event {
        version: Some(version(id)),
        ..updated.clone()
    };
    let old = "n/old pinned_version";
    let none: [&str; 0] = [];
    assert_eq!(matching(&index, &to("2")), ["n/both", "n/current", "n/new"]);
    assert_eq!(skipped(&to("2")), [old]);
    assert_eq!(skipped(&to("1")), none);
    assert_eq!(skipped(&updated), [old, "n/new pinned_version"]);
    // A provider that is not told knows the store all the same.
    assert_eq!(skipped(&exact("generic", "k")).len(), 2);
    // What was deleted, or is unknown, or was asked for by hand, may mean any version.
    for (operation, kind) in [
        (Operation::Deleted, Kind::SecretDeleted),
        (Operation::Metadata, Kind::SecretChanged),
        (Operation::Unknown, Kind::SecretChanged),
        (Operation::Updated, Kind::RefreshRequested),
    ] {
        let event = Event {
            operation,
            kind,
            ..updated.clone()
        };
        assert_eq!(skipped(&event), none, "{operation:?} {kind:?}");
        assert_eq!(matching(&index, &event).len(), 4);
    }
}

#[test]
fn a_version_that_is_changed_in_a_spec_counts_from_then_on() {
    let s = cluster_store("s");
    let at = |version: Option<&str>| {
        let reference = Reference {
            version: version.map(str::to_owned),
            ..key(&s, "k")
        };
        applied("n/x", vec![reference])
    };
    let mut index = index([provided(&s, "aws"), at(None)]);
    for (version, refreshed) in [
        (Some("uuid/1"), 0),
        (Some("blue"), 1),
        (Some("uuid/2"), 0),
        (None, 1),
    ] {
        index.apply(at(version));
        assert_eq!(
            matching(&index, &exact("aws-sm", "k")).len(),
            refreshed,
            "{version:?}"
        );
    }
}

#[test]
fn who_is_refreshed_by_key_is_not_refreshed_for_a_find_alone() {
    let s = cluster_store("s");
    let by_key = |name: &str, references: Vec<Reference>| {
        let mut object = secret(name, references);
        object.refreshable = Refreshable::ByKey;
        Change::Applied(object)
    };
    let all = find(&s, Some("/p"), None);
    let index = index([
        provided(&s, "akeyless"),
        applied("n/any", vec![all.clone()]),
        by_key("n/both", vec![all.clone(), key(&s, "/p/k")]),
        by_key("n/find", vec![all]),
        by_key("n/key", vec![key(&s, "/p/k")]),
    ]);
    let prefix = |path: &str| event("akeyless", Match::Prefix(path.to_owned()));
    let all_of_it = ["n/any", "n/both", "n/key"];
    for (event, refreshed, skipped) in [
        (exact("akeyless", "/p/k"), &all_of_it[..], &["n/find"][..]),
        (exact("generic", "/p/k"), &all_of_it, &["n/find"]),
        // Only the search of `both` finds it.
        (exact("akeyless", "/p/x"), &["n/any"], &["n/both", "n/find"]),
        (prefix("/p"), &all_of_it, &["n/find"]),
        (prefix("/p/x"), &["n/any"], &["n/both", "n/find"]),
        (event("akeyless", Match::Scope), &all_of_it, &["n/find"]),
        (event("akeyless", Match::All), &all_of_it, &["n/find"]),
        (exact("akeyless", "/q"), &[], &[]),
    ] {
        assert_eq!(matching(&index, &event), refreshed, "{event:?}");
        let mut left: Vec<_> = index.matching(&event).skipped;
        left.sort_by(|one, other| one.target.cmp(&other.target));
        let names: Vec<_> = left.iter().map(|left| left.target.to_string()).collect();
        assert_eq!(names, skipped, "{event:?}");
        assert!(
            left.iter()
                .all(|left| left.reason == Unrefreshable::Generator)
        );
    }
}

#[test]
fn an_object_takes_no_more_room_than_it_must() {
    assert_eq!(size_of::<Object>(), 104);
}
