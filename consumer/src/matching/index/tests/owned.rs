//! What a ClusterExternalSecret owns is refreshed through it.

use super::*;
use crate::object::{ListKind, RefreshMark, Stage, Steps, SyncVersion, Unrefreshable};

fn owned(target: &str, owner: &str) -> ExternalSecret {
    let mut child = secret(target, vec![key(&cluster_store("s"), "k")]);
    child.owner = Some(ObjectRef::owner(owner));
    child
}

fn owner(name: &str, value: Option<RefreshMark>) -> Change {
    Change::OwnerApplied {
        owner: ObjectRef::owner(name),
        value,
        uid: None,
    }
}

#[test]
fn an_owner_is_refreshed_instead_of_its_children() {
    let event = exact("generic", "k");
    let mut index = index([
        Change::Applied(owned("a/x", "db")),
        Change::Applied(owned("b/x", "db")),
        applied("c/x", vec![key(&cluster_store("s"), "k")]),
    ]);
    let each = ["a/x", "b/x", "c/x"];
    assert_eq!(
        matching(&index, &event),
        each,
        "the owner may not be listed"
    );
    let value = RefreshMark {
        event: event.fingerprint(),
        stage: Stage::Settled,
    };
    let target = ObjectRef::owner("db");
    assert_eq!(
        index.apply(owner("db", Some(value))),
        [Observation::Carries {
            target: target.clone(),
            value: Some(value),
            sync: SyncState::Waiting,
        }]
    );
    assert_eq!(index.carried(&target), (Some(value), SyncState::Waiting));
    let through = ["ClusterExternalSecret/db", "c/x"];
    assert_eq!(matching(&index, &event), through);
    let gone = index.apply(Change::OwnerDeleted(target.clone()));
    assert_eq!(gone, [Observation::Gone(target.clone())]);
    assert_eq!(index.apply(Change::OwnerDeleted(target)), []);
    assert_eq!(matching(&index, &event), each);
}

#[test]
fn an_owner_weighs_as_many_as_it_owns() {
    let index = index([
        Change::Applied(owned("a/x", "db")),
        Change::Applied(owned("b/x", "db")),
        owner("db", None),
    ]);
    assert_eq!(index.weight(&ObjectRef::owner("db")), 2);
    assert_eq!(index.weight(&ObjectRef::owner("without any")), 1);
    assert_eq!(index.weight(&ObjectRef::new("a", "x")), 1);
}

#[test]
fn an_owner_out_of_reach_is_not_refreshed() {
    let index = index([
        Change::Applied(owned("team-a/x", "db")),
        Change::Applied(owned("team-b/x", "db")),
        owner("db", None),
    ]);
    let reaching = |namespace: &str| {
        let target = eso_relay::event::Reach {
            namespaces: vec![Pattern::new(namespace)],
            ..Default::default()
        };
        let event = Event {
            target: Some(target),
            ..exact("generic", "k")
        };
        matching(&index, &event)
    };
    assert_eq!(reaching("team-a"), ["team-a/x"]);
    assert_eq!(reaching("team-*"), ["ClusterExternalSecret/db"]);
    assert!(reaching("other").is_empty());
}

#[test]
fn the_stores_of_an_owner_are_those_of_all_that_it_owns() {
    let index = index([Change::Applied(owned("a/x", "db")), owner("db", None)]);
    let stores: Vec<_> = index.stores_of(&ObjectRef::owner("db")).collect();
    assert_eq!(stores, [&cluster_store("s")]);
}

#[test]
fn an_unrefreshable_child_skips_its_owner() {
    let mut child = owned("a/x", "db");
    child.refreshable = Refreshable::No(Unrefreshable::CreatedOnce);
    let mut index = index([owner("db", None), Change::Applied(child.clone())]);
    let event = exact("generic", "k");
    assert!(matching(&index, &event).is_empty());
    assert_eq!(index.matching(&event).skipped.len(), 1);
    child.refreshable = Refreshable::Yes;
    index.apply(Change::Applied(child.clone()));
    assert_eq!(matching(&index, &event), ["ClusterExternalSecret/db"]);
    child.owner = None;
    index.apply(Change::Applied(child));
    assert_eq!(matching(&index, &event), ["a/x"]);
}

#[test]
fn an_owner_that_a_listing_does_not_mention_is_gone() {
    let listing = Listing {
        kind: ListKind::ClusterExternalSecrets,
        namespace: None,
    };
    let mut index = index([
        Change::Applied(owned("a/x", "old")),
        owner("old", None),
        Change::ListBegins(listing.clone()),
        owner("new", None),
    ]);
    let gone = index.apply(Change::ListEnds(listing));
    assert_eq!(gone, [Observation::Gone(ObjectRef::owner("old"))]);
    assert_eq!(matching(&index, &exact("generic", "k")), ["a/x"]);
    assert_eq!(index.stats().objects, 1, "owners are none");
}

#[test]
fn an_owner_is_synced_with_all_its_children() {
    let value = value("0123456789abcdef0123");
    let child = |name: &str, mirrored, sync| {
        let child = owned(name, "db");
        Change::Applied(ExternalSecret {
            mirrored,
            sync,
            ..child
        })
    };
    let mut index = index([owner("db", Some(value))]);
    let all = ObjectRef::owner("db");
    for (a, b, expected) in [
        (SyncState::Synced, SyncState::Synced, SyncState::Synced),
        (SyncState::Synced, SyncState::Waiting, SyncState::Waiting),
        (SyncState::Failed, SyncState::Synced, SyncState::Failed),
        (SyncState::Failed, SyncState::Waiting, SyncState::Waiting),
    ] {
        index.apply(child("a/x", Some(value), a));
        let observed = index.apply(child("b/x", Some(value), b));
        let of_owner = Observation::Carries {
            target: all.clone(),
            value: Some(value),
            sync: expected,
        };
        assert_eq!(observed.last(), Some(&of_owner), "{a:?} {b:?}");
    }
    index.apply(child("a/x", Some(value), SyncState::Synced));
    index.apply(child("b/x", None, SyncState::Synced));
    assert_eq!(index.carried(&all).1, SyncState::Waiting, "not copied yet");
    index.apply(Change::Deleted(ObjectRef::new("b", "x")));
    assert_eq!(index.carried(&all).1, SyncState::Synced);
}

fn value(text: &str) -> RefreshMark {
    text.parse().unwrap()
}

#[test]
fn a_child_that_is_patched_itself_is_refreshed_in_two_steps() {
    let mut index = index([
        Change::Applied(owned("a/child", "db")),
        applied("a/other", vec![key(&cluster_store("s"), "k")]),
    ]);
    let forced = ExternalSecret {
        forced: true,
        ..secret("a/forced", vec![key(&cluster_store("s"), "k")])
    };
    index.apply(Change::Applied(forced));
    for (name, steps) in [
        ("child", Steps::Two),
        ("forced", Steps::Two),
        ("other", Steps::One),
        ("unknown", Steps::One),
    ] {
        assert_eq!(index.steps(&ObjectRef::new("a", name)), steps, "{name}");
    }
    assert_eq!(index.steps(&ObjectRef::owner("db")), Steps::One);
}

#[test]
fn a_child_that_is_forced_is_refreshed_itself() {
    let mut forced = owned("a/forced", "db");
    forced.forced = true;
    let mut index = index([
        owner("db", None),
        Change::Applied(forced.clone()),
        Change::Applied(owned("a/x", "db")),
    ]);
    let event = exact("generic", "k");
    let both = ["ClusterExternalSecret/db", "a/forced"];
    assert_eq!(matching(&index, &event), both);
    // And its owner does not wait for it.
    forced.sync = SyncState::Waiting;
    index.apply(Change::Applied(forced));
    let mut child = owned("a/x", "db");
    child.sync = SyncState::Synced;
    index.apply(Change::Applied(child));
    let (_, sync) = index.carried(&ObjectRef::owner("db"));
    assert_eq!(sync, SyncState::Synced);
}

/// As the watch shows it: `reset` for an empty `syncedResourceVersion`.
fn shows(name: &str, carries: Option<RefreshMark>, sync: SyncState, version: &str) -> Change {
    let version = match version {
        "reset" => "",
        other => other,
    };
    let status = serde_json::json!({ "syncedResourceVersion": version });
    Change::Applied(ExternalSecret {
        value: carries,
        sync,
        version: Some(SyncVersion::of(&status)),
        ..secret(name, vec![key(&cluster_store("s"), "k")])
    })
}

#[test]
fn a_removed_mark_is_written_again_in_two_steps() {
    use SyncState::{Returned, Synced, Waiting};
    let (target, ours) = (ObjectRef::new("a", "x"), value("0123456789abcdef0123"));
    let mut index = index([shows("a/x", None, Synced, "old")]);
    index.apply(shows("a/x", Some(ours), Waiting, "old"));
    assert_eq!(index.steps(&target), Steps::One);
    assert_eq!(index.carried(&target), (Some(ours), Waiting));
    let lost = Observation::MarkRemoved {
        target: target.clone(),
        value: ours,
    };
    let carries = Observation::Carries {
        target: target.clone(),
        value: None,
        sync: Returned,
    };
    let observed = index.apply(shows("a/x", None, Synced, "old"));
    assert_eq!(observed, [carries, lost]);
    assert_eq!(index.carried(&target), (None, Returned));
    assert_eq!(index.steps(&target), Steps::Two);

    // The same again, after a reset: nothing is lost, and the sync counts.
    for (carries, sync, version) in [
        (None, Waiting, "reset"),
        (Some(ours), Waiting, "reset"),
        (None, Waiting, "reset"),
        (None, Synced, "old"),
    ] {
        let observed = index.apply(shows("a/x", carries, sync, version));
        let (target, value) = (target.clone(), carries);
        let carries = Observation::Carries {
            target,
            value,
            sync,
        };
        assert_eq!(observed, [carries]);
    }
    // A redelivery finds nothing to do.
    assert_eq!(index.carried(&target), (Some(ours), Synced));
    index.apply(Change::Deleted(target.clone()));
    index.apply(shows("a/x", None, Synced, "old"));
    assert_eq!(index.carried(&target), (None, Synced), "another object");
}

#[test]
fn a_sync_after_which_eso_refreshes_it_no_more_is_seen() {
    let (target, ours) = (ObjectRef::new("a", "x"), value("0123456789abcdef0123"));
    let mut once = secret("a/x", vec![key(&cluster_store("s"), "k")]);
    let mut index = index([Change::Applied(once.clone())]);
    once.value = Some(ours);
    once.sync = SyncState::Synced;
    once.refreshable = Refreshable::No(Unrefreshable::CreatedOnce);
    let carries = Observation::Carries {
        target: target.clone(),
        value: Some(ours),
        sync: SyncState::Synced,
    };
    let observed = index.apply(Change::Applied(once.clone()));
    assert_eq!(observed, [carries, Observation::Gone(target.clone())]);
    let observed = index.apply(Change::Applied(once));
    assert_eq!(observed, [Observation::Gone(target)]);
}
