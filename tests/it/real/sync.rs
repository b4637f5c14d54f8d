//! How we know that ESO has synced an object: the hash in its status.

use eso_relay_consumer::object::{Hashed, SyncState};
use eso_relay_lab::{
    cluster::{REFRESH, annotate, get},
    installation::READY,
    operator,
    standin::synced_resource_version,
    wait,
};
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{Options, Site, TEAM, reading, with_documents};

#[tokio::test(flavor = "multi_thread")]
async fn the_hash_of_eso_is_ours_and_that_of_the_stand_in() {
    if !operator::is_asked_for() {
        return;
    }
    let (documents, mut relay) = with_documents(Options::default()).await;
    let east = &mut relay.sites[0];
    documents.set("/prod/db", "old");
    let bare = reading("bare", "/prod/db");
    let labelled = reading("labelled", "/prod/db")
        .labelled("b", "2")
        .labelled("a.example/name", "one");
    let awkward = reading("awkward", "/prod/db")
        .annotated("z", "map[a:1 b:2] {\"x\": \"y\"}\nsecond line")
        .annotated("A", "")
        .annotated("example.com/x", "ünïcode")
        .labelled("empty", "");
    for object in [bare, labelled, awkward] {
        east.create(object).await;
    }
    for name in ["bare", "labelled", "awkward"] {
        east.holds(TEAM, name, "old").await;
        let synced = wait_state(east, name, SyncState::Synced).await;
        let status = &synced.data["status"]["syncedResourceVersion"];
        assert_eq!(*status, synced_resource_version(&synced.metadata), "{name}");
        assert_eq!(reason(&synced), "SecretSynced", "{name}");
    }
    // Between the patch and the sync the consumer must not take the old status for the new one.
    east.operator.process.pause().unwrap();
    annotate(&east.client, TEAM, "bare", "by-hand")
        .await
        .unwrap();
    wait_state(east, "bare", SyncState::Waiting).await;
    east.operator.process.resume().unwrap();
    let synced = wait_state(east, "bare", SyncState::Synced).await;
    let synced_version = synced.data["status"]["syncedResourceVersion"].clone();
    assert_eq!(synced.metadata.annotations.unwrap()[REFRESH], "by-hand");
    // A failure leaves the hash of the last sync, and says that it is not Ready.
    documents.set_failing(true);
    annotate(&east.client, TEAM, "bare", "once-more")
        .await
        .unwrap();
    let failed = wait_state(east, "bare", SyncState::Failed).await;
    assert_eq!(reason(&failed), "SecretSyncedError");
    assert_eq!(
        failed.data["status"]["syncedResourceVersion"],
        synced_version
    );
}

/// Waits until the consumer would read this out of the object.
async fn wait_state(site: &Site, name: &str, expected: SyncState) -> DynamicObject {
    let what = format!("{name} to be {expected:?}");
    wait::until_ok(what, READY, || async {
        let object = get(&site.client, TEAM, name).await.unwrap().unwrap();
        let state = state(&object);
        if state == expected {
            Ok(object)
        } else {
            Err(state)
        }
    })
    .await
    .unwrap()
}

/// Of the condition `Ready`.
fn reason(object: &DynamicObject) -> &str {
    let conditions = object.data["status"]["conditions"].as_array().unwrap();
    let ready = conditions.iter().find(|it| it["type"] == "Ready").unwrap();
    ready["reason"].as_str().unwrap()
}

fn state(object: &DynamicObject) -> SyncState {
    let metadata = &object.metadata;
    let (annotations, labels) = (json!(metadata.annotations), json!(metadata.labels));
    let hashed = Hashed {
        generation: metadata.generation.unwrap_or_default(),
        annotations: &annotations,
        labels: &labels,
    };
    let status: &Value = &object.data["status"];
    SyncState::of(hashed, status)
}
