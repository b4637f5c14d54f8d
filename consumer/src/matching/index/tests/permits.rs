//! Objects that their namespace does not permit.

use super::*;
use crate::{
    matching::tenancy::{Claims, NotPermitted, Permitted},
    object::Unrefreshable,
};

fn namespace(name: &str, names: Option<&str>, roles: Option<&str>) -> Change {
    Change::NamespaceApplied {
        name: name.to_owned(),
        labels: crate::matching::selector::Labels::new(),
        permitted: Permitted {
            names: names.map(str::to_owned),
            roles: roles.map(str::to_owned),
        },
    }
}

fn listing() -> Listing {
    Listing {
        kind: ListKind::Namespaces,
        namespace: None,
    }
}

/// `n/x` reads `k` through this store, and asks its namespace.
fn held(store: &StoreRef, enforced: bool) -> Change {
    let claims = Claims {
        names: vec!["k".into()],
        role: None,
        enforced,
    };
    Change::Applied(ExternalSecret {
        claims: Some(Box::new(claims)),
        ..ExternalSecret::new(ObjectRef::new("n", "x"), vec![key(store, "k")])
    })
}

/// A store of AWS with this role.
fn with_role(store: &StoreRef, role: &str) -> Change {
    Change::StoreApplied(Store {
        name: store.clone(),
        backend: Backend::of_store(&serde_json::json!({ "aws": {} })),
        admits: Admits {
            role: Some(role.to_owned()),
            ..Admits::default()
        },
    })
}

fn denied(index: &Index) -> Option<NotPermitted> {
    let matched = index.matching(&exact("generic", "k"));
    match (&matched.targets[..], &matched.skipped[..]) {
        ([_], []) => None,
        ([], [skipped]) => {
            assert_eq!(skipped.reason, Unrefreshable::NotPermitted);
            index.not_permitted(&skipped.target)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_changed_annotation_counts_at_once() {
    let store = cluster_store("s");
    let mut index = index([
        held(&store, false),
        Change::ListBegins(listing()),
        Change::ListEnds(listing()),
    ]);
    let reads = [Observation::Reads(ObjectRef::new("n", "x"))];
    for (names, observed, expected) in [
        (
            Some("^other"),
            &[][..],
            Some(NotPermitted::Name("k".into())),
        ),
        (Some("^k$"), &reads, None),
        (Some("(?=k)"), &[], Some(NotPermitted::Name("k".into()))),
        (None, &reads, None),
        (Some(""), &[], None),
    ] {
        // Another namespace is nothing to it.
        index.apply(namespace("other", Some("^x"), None));
        index.apply(Change::Synced);
        assert_eq!(index.apply(namespace("n", names, None)), observed);
        assert_eq!(denied(&index), expected, "{names:?}");
    }
}

#[test]
fn the_role_of_its_store_must_be_permitted() {
    let store = cluster_store("s");
    let mut index = index([
        held(&store, false),
        namespace("n", None, Some("^team-a")),
        with_role(&store, "team-b"),
        Change::Synced,
    ]);
    assert_eq!(denied(&index), Some(NotPermitted::Role("team-b".into())));
    let reads = Observation::Reads(ObjectRef::new("n", "x"));
    assert!(
        index
            .apply(with_role(&store, "team-a-role"))
            .contains(&reads)
    );
    assert_eq!(denied(&index), None);
}

#[test]
fn an_unknown_namespace_permits_nothing_once_all_are_listed() {
    let store = cluster_store("s");
    for (enforced, change, expected) in [
        (false, None, None),
        (true, None, Some(NotPermitted::Unknown)),
        (
            false,
            Some(Change::ListEnds(listing())),
            Some(NotPermitted::Unknown),
        ),
        (false, Some(Change::ListDenied(listing())), None),
        (
            true,
            Some(Change::ListDenied(listing())),
            Some(NotPermitted::Unknown),
        ),
    ] {
        let mut index = index([held(&store, enforced)]);
        index.apply(Change::ListBegins(listing()));
        index.apply(change.unwrap_or(Change::Synced));
        assert_eq!(denied(&index), expected, "{enforced}");
    }
}

#[test]
fn an_object_that_changes_is_permitted_then() {
    let store = cluster_store("s");
    let mut index = index([
        held(&store, false),
        namespace("n", Some("^other"), None),
        Change::Synced,
    ]);
    assert!(denied(&index).is_some());
    // As it does when `tenancy` is switched off for its kind, or a role is taken out.
    let target = ObjectRef::new("n", "x");
    let free = ExternalSecret::new(target.clone(), vec![key(&store, "k")]);
    let observed = index.apply(Change::Applied(free));
    assert!(
        observed.contains(&Observation::Reads(target)),
        "{observed:?}"
    );
    assert_eq!(denied(&index), None);
}

#[test]
fn an_owner_with_a_child_that_is_not_permitted_is_left_alone() {
    let store = cluster_store("s");
    let owned = |namespace: &str| {
        let claims = Claims {
            names: vec!["k".into()],
            ..Claims::default()
        };
        Change::Applied(ExternalSecret {
            claims: Some(Box::new(claims)),
            owner: Some(ObjectRef::owner("all")),
            ..ExternalSecret::new(ObjectRef::new(namespace, "x"), vec![key(&store, "k")])
        })
    };
    let mut index = index([
        Change::OwnerApplied {
            owner: ObjectRef::owner("all"),
            value: None,
            uid: None,
        },
        owned("n"),
        owned("m"),
        namespace("n", None, None),
        namespace("m", None, None),
    ]);
    let event = exact("generic", "k");
    assert_eq!(matching(&index, &event), ["ClusterExternalSecret/all"]);
    index.apply(namespace("m", Some("^other"), None));
    assert_eq!(matching(&index, &event), ["n/x"]);
}
