use std::time::Duration;

use eso_relay::event::Keys;
use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::{
    matching::{
        index::{Change, ExternalSecret, FindSpec, Form, Reference},
        workload::Manifest,
    },
    object::{ObjectRef, WorkloadKind},
    stream::Reply,
    tests::{cluster, event},
};

#[test]
fn what_is_meant_for_many_is_mass_work_of_its_source() {
    let exact = event("one");
    let mass = Urgency::Mass(exact.source.clone());
    assert_eq!(urgency(&exact, MAX_EXACT), Urgency::Exact);
    assert_eq!(urgency(&exact, MAX_EXACT + 1), mass);
    for matches in [Match::Prefix("/app".into()), Match::Scope, Match::All] {
        let event = Event {
            matches,
            ..event("many")
        };
        assert_eq!(urgency(&event, 1), mass);
    }
}

#[test]
fn an_event_knows_its_lane_and_whether_it_was_sent_again() {
    let (live, again) = (event("one"), Timestamp::UNIX_EPOCH);
    let mut replayed = event("two");
    replayed.origin.replayed_at = Some(again);
    let mut redriven = Event {
        matches: Match::All,
        ..event("three")
    };
    redriven.origin.redriven = 1;
    for (event, lane, kind) in [
        (live, Lane::exact, EventKind::live),
        (replayed, Lane::exact, EventKind::replay),
        (redriven, Lane::mass, EventKind::replay),
    ] {
        let message = Message::synthetic(&event, Reply::None);
        let (index, policy) = (Index::new(), StorePolicy::default());
        let (resolved, _) = resolve(&message, &index, &cluster(), &policy);
        let [matched] = &resolved.events[..] else {
            panic!("{resolved:?}");
        };
        assert_eq!((matched.lane, matched.kind), (lane, kind), "{event:?}");
    }
}

#[test]
fn an_owner_counts_as_its_children() {
    let (owner, key) = (ObjectRef::owner("db"), "/app/db");
    let event = Event {
        matches: Match::Exact(Keys::one(key).unwrap()),
        ..event("one")
    };
    let mut index = Index::new();
    index.apply(Change::OwnerApplied {
        owner: owner.clone(),
        value: None,
        uid: None,
    });
    for at in 0..=MAX_EXACT {
        let store = StoreRef::Cluster { name: "s".into() };
        let form = Form::Key(key.into());
        let reference = Reference {
            store,
            form,
            version: None,
            property: None,
        };
        let target = ObjectRef::new(&format!("team-{at}"), "db");
        index.apply(Change::Applied(ExternalSecret {
            owner: Some(owner.clone()),
            ..ExternalSecret::new(target, vec![reference])
        }));
    }
    let message = Message::synthetic(&event, Reply::None);
    let (resolved, _) = resolve(&message, &index, &cluster(), &StorePolicy::default());
    let [refresh] = &resolved.delivery.refreshes[..] else {
        panic!("{resolved:?}");
    };
    assert_eq!((&refresh.target, refresh.weight), (&owner, MAX_EXACT + 1));
    assert_eq!(refresh.urgency, Urgency::Mass(event.source));
}

#[test]
fn a_delivery_names_the_workloads_to_restart() {
    let key = Form::Key("/app/db".into());
    let any = Form::Find(FindSpec::default());
    let object = |name: &str, form: Form| {
        let store = StoreRef::Cluster { name: "s".into() };
        let reference = Reference {
            store,
            form,
            version: None,
            property: None,
        };
        let target = ObjectRef::new("team", name);
        Change::Applied(ExternalSecret::new(target, vec![reference]))
    };
    let workload = |name: &str, container: serde_json::Value| {
        let metadata = json!({ "annotations": { "eso-relay.dev/restart": "true" } });
        let spec = json!({ "template": { "spec": { "containers": [container] } } });
        let target = ObjectRef::workload(WorkloadKind::DaemonSet, "team", name);
        let manifest = Manifest::of(&metadata, &spec, &json!({}));
        Change::WorkloadApplied(manifest.workload(target, &[]).unwrap())
    };
    let reads = |secret: &str| json!({ "envFrom": [{ "secretRef": { "name": secret } }] });
    let mut index = Index::new();
    for change in [
        object("db", key),
        object("finder", any),
        workload("follower", reads("db")),
        workload("in-doubt", reads("finder")),
        workload(
            "injected",
            json!({ "env": [{ "value": "vault:app/db#p" }] }),
        ),
    ] {
        index.apply(change);
    }
    let event = Event {
        provider: "generic".parse().unwrap(),
        settle: Some("3s".parse().unwrap()),
        ..event("one")
    };
    let restarts = |restart_by_find| {
        let policy = StorePolicy {
            restart_by_find,
            ..StorePolicy::default()
        };
        let message = Message::synthetic(&event, Reply::None);
        let (resolved, _) = resolve(&message, &index, &cluster(), &policy);
        resolved.delivery.restarts
    };
    let found = restarts(false);
    let shown = |restart: &Restart| {
        let follows: Vec<_> = restart.follows.iter().map(ToString::to_string).collect();
        (restart.workload.name().to_owned(), follows, restart.settle)
    };
    let (db, settle) = ("team/db".to_owned(), Some(Duration::from_secs(3)));
    let follower = ("follower".to_owned(), vec![db], None);
    let injected = ("injected".to_owned(), Vec::new(), settle);
    assert_eq!(
        found.iter().map(shown).collect::<Vec<_>>(),
        [follower, injected]
    );
    assert_eq!((found[0].event, found[0].index), (event.fingerprint(), 0));
    assert_eq!(Some(&found[0].state), index.workload(&found[0].workload));
    assert_eq!(restarts(true).len(), 3);
}

#[test]
fn a_rate_limit_counts_a_target_per_store() {
    let store = |name: &str| StoreRef::Cluster { name: name.into() };
    let (a, b) = (store("a"), store("b"));
    let ids = |paced| {
        let policy = StorePolicy {
            paced,
            ..StorePolicy::default()
        };
        policy.paced([&a, &b, &a].into_iter()).len()
    };
    assert_eq!((ids(true), ids(false)), (2, 0));
}
