//! PushSecrets: ESO writes over what somebody else has written to a store.

use eso_relay::Event;
use eso_relay_lab::{
    cluster::{Fixture, Kind, REFRESH, objects},
    installation::{Cluster, READY},
    standin::synced_resource_version,
    wait,
};
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::json;

use crate::{
    cli,
    consuming::{Consuming, TEAM, event, fingerprint},
};

/// `db` reads what `push` writes.
async fn with_push_secret() -> Consuming {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let spec = json!({
        "secretStoreRefs": [{ "name": "akeyless", "kind": "SecretStore" }],
        "selector": { "secret": { "name": "source" } },
        "data": [{ "match": { "secretKey": "x", "remoteRef": { "remoteKey": "prod/db" } } }],
    });
    let push = Fixture::new(Kind::PushSecret, Some(TEAM), "push", spec);
    push.create(relay.cluster.client()).await.unwrap();
    relay
}

async fn push_secret(relay: &Consuming) -> DynamicObject {
    let api = objects(relay.cluster.client(), Kind::PushSecret, Some(TEAM));
    api.get("push").await.unwrap()
}

async fn annotation(relay: &Consuming) -> Option<String> {
    let object = push_secret(relay).await;
    object.metadata.annotations?.remove(REFRESH)
}

/// As ESO does when it has pushed.
async fn pushed(relay: &Consuming, time: &str) {
    let metadata = push_secret(relay).await.metadata;
    let status = json!({ "status": {
        "refreshTime": time,
        "syncedResourceVersion": synced_resource_version(&metadata),
        "conditions": [{ "type": "Ready", "status": "True" }],
    } });
    objects(relay.cluster.client(), Kind::PushSecret, Some(TEAM))
        .patch_status("push", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
}

/// An event that is received at that time.
async fn publish(relay: &Consuming, time: &str) -> String {
    let event = Event {
        received_at: time.parse().unwrap(),
        ..event("/prod/db")
    };
    cli::publish(&relay.jetstream, std::slice::from_ref(&event)).await;
    fingerprint(&event)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_overwrites_others_and_ignores_its_echo() {
    let relay = with_push_secret().await;
    pushed(&relay, "2026-01-31T08:00:00Z").await;
    let consumer = relay.consumer("refresh: { push_secrets: true }").await;
    let drift = publish(&relay, "2026-01-31T09:00:00Z").await;
    relay.carries("db", &drift).await;
    relay.drained().await;
    assert_eq!(annotation(&relay).await.as_ref(), Some(&drift));

    let echoes = || async {
        let metric = "eso_relay_consumer_skipped_total";
        let labels = [("reason", "push_echo")];
        consumer.count(metric, &labels).await.unwrap()
    };
    // The store tells of the push before ESO has said that it is done. Until the watch shows the
    // patch, it is another drift.
    let mut written = drift;
    let echo = async {
        loop {
            let early = publish(&relay, "2026-01-31T09:00:03Z").await;
            relay.carries("db", &early).await;
            relay.drained().await;
            if echoes().await == 1 {
                break;
            }
            written = early;
        }
    };
    tokio::time::timeout(READY, echo).await.unwrap();
    pushed(&relay, "2026-01-31T09:00:02Z").await;
    let late = publish(&relay, "2026-01-31T09:00:40Z").await;
    relay.carries("db", &late).await;
    relay.drained().await;
    assert_eq!(echoes().await, 2);
    assert_eq!(annotation(&relay).await.as_ref(), Some(&written));

    // Somebody writes again, and the watch has told of the push.
    wait::until("the next push", READY, || async {
        let next = publish(&relay, "2026-01-31T10:00:00Z").await;
        relay.carries("db", &next).await;
        relay.drained().await;
        (annotation(&relay).await? == next).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_push_secret_is_touched_unless_that_is_asked_for() {
    let relay = with_push_secret().await;
    pushed(&relay, "2026-01-31T08:00:00Z").await;
    let _consumer = relay.consumer("").await;
    let value = publish(&relay, "2026-01-31T09:00:00Z").await;
    relay.carries("db", &value).await;
    relay.drained().await;
    assert_eq!(annotation(&relay).await, None);
}
