mod faults;

use std::{collections::BTreeSet, pin::pin, time::Duration};

use futures::{Stream, StreamExt};
use kube::{
    ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
    core::DynamicObject,
    runtime::watcher::{self, Event, watcher},
};
use serde_json::{Value, json};

use super::{Served, StandIn, Verb};
use crate::cluster::{
    Kind, REFRESH, annotate, annotation, events_on, external_secret, get, objects,
};

/// Every wait in these tests ends by then, in vain or not.
const DEADLINE: Duration = Duration::from_secs(20);

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("in time")
}

async fn with_one() -> StandIn {
    let api = StandIn::start().await.unwrap();
    api.load([external_secret("db")
        .in_namespace("team-a")
        .from_store("akeyless")
        .key("/prod/db")]);
    api
}

async fn db(api: &StandIn) -> DynamicObject {
    let found = get(&api.client(), "team-a", "db").await;
    found.unwrap().unwrap()
}

async fn refresh_of_db(api: &StandIn) -> Option<String> {
    db(api).await.annotations().get(REFRESH).cloned()
}

/// The names of all objects up to `InitDone`, the errors on the way, in order.
async fn initial(
    events: &mut (impl Stream<Item = watcher::Result<Event<DynamicObject>>> + Unpin),
) -> (BTreeSet<String>, Vec<watcher::Error>) {
    let (mut names, mut errors) = (BTreeSet::new(), Vec::new());
    loop {
        match in_time(events.next()).await.unwrap() {
            Ok(Event::Init) => names.clear(),
            Ok(Event::InitApply(object)) => drop(names.insert(object.metadata.name.unwrap())),
            Ok(Event::InitDone) => return (names, errors),
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
    }
}

fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        other => panic!("not an answer of the API: {other}"),
    }
}

#[tokio::test]
async fn a_watcher_gets_2000_objects_in_pages_and_then_a_patch() {
    let api = StandIn::start().await.unwrap();
    api.load(
        (0..2000)
            .map(|n| external_secret(&format!("es-{n}")).in_namespace(&format!("team-{}", n % 7))),
    );
    let client = api.client();
    let all = objects(&client, Kind::ExternalSecret, None);
    let mut events = pin!(watcher(all, watcher::Config::default().page_size(300)));
    let (names, _) = initial(&mut events).await;
    assert_eq!(names.len(), 2000);
    let (verb, kind) = (Verb::List, Kind::ExternalSecret);
    assert_eq!(api.requests().count_of(verb, kind, 200), 7);

    annotate(&client, "team-3", "es-3", "one").await.unwrap();
    let Event::Apply(object) = in_time(events.next()).await.unwrap().unwrap() else {
        panic!("a patch is an Apply");
    };
    assert_eq!(object.metadata.name.as_deref(), Some("es-3"));
    let refreshed = annotation(&client, "team-3", "es-3").await.unwrap();
    assert_eq!(refreshed.as_deref(), Some("one"));
}

#[tokio::test]
async fn a_patch_that_changes_nothing_leaves_the_version() {
    let api = with_one().await;
    let client = api.client();
    annotate(&client, "team-a", "db", "one").await.unwrap();
    let before = db(&api).await.metadata;
    annotate(&client, "team-a", "db", "one").await.unwrap();
    let after = db(&api).await.metadata;
    assert_eq!(before.resource_version, after.resource_version);

    let seen = api.requests().patches("team-a", "db");
    let changed: Vec<_> = seen
        .iter()
        .map(|patch| (patch.value.as_str(), patch.changed))
        .collect();
    assert_eq!(changed, [("one", true), ("one", false)]);
    assert_eq!(seen[0].field_manager.as_deref(), Some("eso-relay-lab"));
    assert_eq!(api.requests().most_in_flight("team-a", "db"), 1);
}

#[tokio::test]
async fn only_a_changed_spec_moves_the_generation_and_only_slash_status_the_status() {
    let api = with_one().await;
    let team = objects(&api.client(), Kind::ExternalSecret, Some("team-a"));
    let patch = async |patch: Value| {
        team.patch("db", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap()
    };
    let annotated = patch(json!({ "metadata": { "annotations": { "a": "1" } } })).await;
    assert_eq!(annotated.metadata.generation, Some(1));
    let respecified =
        patch(json!({ "spec": { "refreshInterval": "5m" }, "status": { "x": 1 } })).await;
    assert_eq!(respecified.metadata.generation, Some(2));
    assert_eq!(respecified.data["status"], Value::Null);
    let status = Patch::Merge(json!({ "status": { "refreshTime": "now" }, "spec": null }));
    let synced = team
        .patch_status("db", &PatchParams::default(), &status)
        .await
        .unwrap();
    assert_eq!(synced.metadata.generation, Some(2));
    assert_eq!(synced.data["status"]["refreshTime"], "now");
    assert_eq!(synced.data["spec"]["refreshInterval"], "5m");
    let status = Patch::Merge(json!({ "metadata": { "labels": { "a": "1" } } }));
    let untouched = team
        .patch_status("db", &PatchParams::default(), &status)
        .await
        .unwrap();
    assert_eq!(
        untouched.metadata.resource_version,
        synced.metadata.resource_version
    );
    let stale = json!({ "metadata": { "resourceVersion": "1", "annotations": { "a": "2" } } });
    let conflict = team
        .patch("db", &PatchParams::default(), &Patch::Merge(stale))
        .await
        .unwrap_err();
    assert_eq!(code(&conflict), 409);
}

#[tokio::test]
async fn an_event_is_taken_once_and_found_by_its_object() {
    let api = with_one().await;
    let client = api.client();
    let event: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": { "name": "one", "namespace": "team-a" },
        "regarding": { "kind": "ExternalSecret", "name": "db" },
        "reason": "Tried",
    }))
    .unwrap();
    let events = objects(&client, Kind::Event, Some("team-a"));
    let params = PostParams::default();
    events.create(&params, &event).await.unwrap();
    let again = events.create(&params, &event).await.unwrap_err();
    assert!(matches!(again, kube::Error::Api(status) if status.is_already_exists()));
    let kind = Kind::ExternalSecret;
    let found = events_on(&client, kind, Some("team-a"), "db")
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["reason"], "Tried");
    let other = events_on(&client, kind, Some("team-a"), "web")
        .await
        .unwrap();
    assert_eq!(other.len(), 0);
}

#[tokio::test]
async fn an_expired_version_makes_the_watcher_list_again() {
    let api = with_one().await;
    let all = objects(&api.client(), Kind::ExternalSecret, None);
    let mut events = pin!(watcher(all.clone(), watcher::Config::default()));
    initial(&mut events).await;
    let listed = all.list(&ListParams::default()).await.unwrap();
    let version = listed.metadata.resource_version.unwrap();
    let watching = async {
        // The watch is open once it brings something.
        annotate(&api.client(), "team-a", "db", "one")
            .await
            .unwrap();
        assert!(matches!(events.next().await, Some(Ok(Event::Apply(_)))));
    };
    in_time(watching).await;

    api.expire_watches();
    let (names, errors) = initial(&mut events).await;
    assert_eq!(names.len(), 1);
    assert!(matches!(&errors[..], [watcher::Error::WatchError(status)] if status.code == 410));

    let late = all
        .watch(&kube::api::WatchParams::default(), &version)
        .await;
    assert_eq!(code(&late.err().expect("the version is too old")), 410);
}

#[tokio::test]
async fn a_closed_watch_is_resumed_without_a_new_list() {
    let api = with_one().await;
    let client = api.client();
    let all = objects(&client, Kind::ExternalSecret, None);
    let mut events = pin!(watcher(all, watcher::Config::default()));
    initial(&mut events).await;
    for value in ["one", "two"] {
        annotate(&client, "team-a", "db", value).await.unwrap();
        assert!(matches!(
            in_time(events.next()).await,
            Some(Ok(Event::Apply(_)))
        ));
        api.close_watches();
    }
    assert_eq!(api.requests().count(Verb::List, Kind::ExternalSecret), 1);
}

#[tokio::test]
async fn discovery_shows_the_one_served_version() {
    let api = with_one().await;
    let client = api.client();
    for (served, version) in [(Served::V1, "v1"), (Served::V1beta1, "v1beta1")] {
        api.serve(served);
        let group = kube::discovery::group(&client, "external-secrets.io")
            .await
            .unwrap();
        assert_eq!(group.preferred_version_or_latest(), version);
        let (resource, _) = group.recommended_kind("ExternalSecret").unwrap();
        let found = kube::Api::<DynamicObject>::all_with(client.clone(), &resource);
        let found = found.list(&ListParams::default()).await.unwrap();
        assert_eq!(
            found.types.api_version,
            format!("external-secrets.io/{version}")
        );
        assert_eq!(found.items.len(), 1);
    }
    let v1 = objects(&client, Kind::ExternalSecret, None);
    assert_eq!(
        code(&v1.list(&ListParams::default()).await.unwrap_err()),
        404
    );
}
