//! PushSecrets, which an event means by the keys that they write.

use eso_relay::event::StoreKind;
use jiff::Timestamp;

use super::*;
use crate::object::{ListKind, Unrefreshable};

/// Pushed long before the events of the tests, and synced since.
fn push(name: &str, references: Vec<Reference>) -> ExternalSecret {
    ExternalSecret {
        sync: SyncState::Synced,
        pushed: Some(Timestamp::UNIX_EPOCH),
        ..ExternalSecret::new(ObjectRef::push_secret("n", name), references)
    }
}

fn any(kind: StoreKind) -> StoreRef {
    let namespace = "n".to_owned();
    StoreRef::Any { kind, namespace }
}

/// An hour after the epoch.
fn late(event: Event) -> Event {
    Event {
        received_at: Timestamp::from_second(3600).unwrap(),
        ..event
    }
}

#[test]
fn only_an_event_that_names_its_key_pushes_a_push_secret() {
    let s = store("n", "s");
    let index = index([
        provided(&s, "akeyless"),
        applied("n/db", vec![key(&s, "k")]),
        Change::Applied(push("db", vec![key(&s, "k")])),
    ]);
    let both = ["PushSecret/n/db", "n/db"];
    for (event, expected) in [
        (exact("akeyless", "/k"), &both[..]),
        (exact("generic", "k"), &both),
        (exact("akeyless", "other"), &[]),
        (exact("vault", "k"), &[]),
        (event("akeyless", Match::Prefix("/".to_owned())), &["n/db"]),
        (event("akeyless", Match::Scope), &["n/db"]),
        (event("generic", Match::All), &["n/db"]),
    ] {
        let event = late(event);
        assert_eq!(matching(&index, &event), expected, "{event:?}");
        assert!(index.matching(&event).skipped.is_empty(), "{event:?}");
    }
    assert_eq!(index.stats().objects, 1);
}

#[test]
fn an_overwritten_push_is_skipped_unless_by_hand() {
    let s = store("n", "s");
    let mut object = push("db", vec![key(&s, "k")]);
    let mut index = index([provided(&s, "akeyless"), Change::Applied(object.clone())]);
    let changed = late(exact("akeyless", "k"));
    let by_hand = Event {
        kind: Kind::RefreshRequested,
        ..changed.clone()
    };
    let found = |index: &Index, event: &Event| {
        let Matched {
            targets, skipped, ..
        } = index.matching(event);
        let reasons: Vec<_> = skipped.iter().map(|left| left.reason).collect();
        (targets.len(), reasons)
    };
    let echo = vec![Unrefreshable::PushEcho];
    assert_eq!(found(&index, &changed), (1, Vec::new()));
    // It has been patched.
    object.sync = SyncState::Waiting;
    index.apply(Change::Applied(object.clone()));
    assert_eq!(found(&index, &changed), (0, echo.clone()));
    assert_eq!(found(&index, &by_hand), (1, Vec::new()));
    // And pushed.
    object.sync = SyncState::Synced;
    object.pushed = Timestamp::from_second(3599).ok();
    index.apply(Change::Applied(object.clone()));
    assert_eq!(found(&index, &changed), (0, echo));
    // What it says itself comes first.
    object.refreshable = Refreshable::No(Unrefreshable::Ignored);
    index.apply(Change::Applied(object));
    assert_eq!(found(&index, &by_hand), (0, vec![Unrefreshable::Ignored]));
}

#[test]
fn a_store_selected_by_labels_may_be_any() {
    let (own, foreign, shared) = (
        store("n", "own"),
        store("m", "foreign"),
        cluster_store("shared"),
    );
    let index = index([
        provided(&own, "akeyless"),
        provided(&foreign, "akeyless"),
        provided(&shared, "vault"),
        Change::Applied(push("a", vec![key(&any(StoreKind::SecretStore), "k")])),
        Change::Applied(push(
            "b",
            vec![key(&any(StoreKind::ClusterSecretStore), "k")],
        )),
    ]);
    for (stores, expected) in [
        (&[][..], &["PushSecret/n/a", "PushSecret/n/b"][..]),
        (&["own"], &["PushSecret/n/a"]),
        (&["sha*"], &["PushSecret/n/b"]),
        // In another namespace.
        (&["foreign"], &[]),
    ] {
        let patterns = stores.iter().map(|&name| StorePattern {
            kind: None,
            name: Pattern::new(name),
        });
        let event = Event {
            target: Some(Reach {
                stores: patterns.collect(),
                ..Reach::default()
            }),
            ..late(exact("akeyless", "k"))
        };
        assert_eq!(matching(&index, &event), expected, "{stores:?}");
        for target in index.matching(&event).targets {
            let compared = index.compare(&target, &event).unwrap();
            assert!(compared.iter().all(Compared::is_meant), "{compared:?}");
        }
    }
}

#[test]
fn a_push_secret_and_an_external_secret_of_one_name_are_two() {
    let s = store("n", "s");
    let mut index = index([
        applied("n/db", vec![key(&s, "k")]),
        Change::Applied(push("db", vec![key(&s, "k")])),
    ]);
    let listing = |kind| Listing {
        kind,
        namespace: None,
    };
    let event = late(exact("generic", "k"));
    for (kind, left) in [
        (ListKind::ExternalSecrets, &["PushSecret/n/db"][..]),
        (ListKind::PushSecrets, &[]),
    ] {
        index.apply(Change::ListBegins(listing(kind)));
        index.apply(Change::ListEnds(listing(kind)));
        assert_eq!(matching(&index, &event), left);
    }
    assert_eq!(index.stats(), Stats::default());
    assert!(index.lookup.is_empty());
    // Nor is one pushed that may not be listed any more.
    index.apply(Change::Applied(push("db", vec![key(&s, "k")])));
    let denied = Change::ListDenied(listing(ListKind::PushSecrets));
    let gone = vec![Observation::Gone(ObjectRef::push_secret("n", "db"))];
    assert_eq!(index.apply(denied), gone);
}
