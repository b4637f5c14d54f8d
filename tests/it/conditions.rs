//! Stores for the namespaces that have certain labels.

use eso_relay_lab::{
    cluster::{Kind, cluster_store, external_secret, objects},
    daemon::Daemon,
    installation::{Cluster, READY},
    standin::On,
    wait,
};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::consuming::{CONSUMER, Consuming, TEAM};

/// `db`, and `guarded`, which reads through a store for namespaces that are labelled `env=prod`.
async fn guarded(cluster: Cluster) -> Consuming {
    let relay = Consuming::on(cluster, &["db"]).await;
    let client = relay.cluster.client();
    let selector = json!({ "matchExpressions": [
        { "key": "env", "operator": "In", "values": ["prod", "stage"] },
    ] });
    let store = cluster_store("guarded").akeyless();
    let store = store.conditions(json!([{ "namespaceSelector": selector }]));
    store.create(client).await.unwrap();
    let object = external_secret("guarded").in_namespace(TEAM);
    let object = object.cluster_store("guarded").key("/prod/db");
    object.create(client).await.unwrap();
    relay
}

async fn label(relay: &Consuming, env: Option<&str>) {
    let patch = json!({ "metadata": { "labels": { "env": env } } });
    objects(relay.cluster.client(), Kind::Namespace, None)
        .patch(TEAM, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .unwrap();
}

async fn denied(consumer: &Daemon) -> u64 {
    let metric = "eso_relay_consumer_skipped_total";
    let labels = [("reason", "store_denies_namespace")];
    consumer.count(metric, &labels).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn new_labels_admit_a_namespace() {
    let relay = guarded(Cluster::start("east").await.unwrap()).await;
    let consumer = relay.consumer("").await;
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &values[0]).await;
    relay.drained().await;
    assert_eq!(relay.cluster.refresh_of(TEAM, "guarded").await, None);
    assert_eq!(denied(&consumer).await, 1);

    label(&relay, Some("prod")).await;
    let refreshed = || async {
        relay.publish(&["/prod/db"]).await;
        relay.cluster.refresh_of(TEAM, "guarded").await
    };
    let what = "a refresh of who is let in";
    wait::until(what, READY, refreshed).await.unwrap();
    relay.drained().await;

    label(&relay, None).await;
    let before = denied(&consumer).await;
    wait::until("every namespace to be denied", READY, || async {
        relay.publish(&["/prod/db"]).await;
        (denied(&consumer).await > before).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_see_labels_lets_everybody_in() {
    let relay = guarded(Cluster::stand_in("east").await.unwrap()).await;
    let on = On {
        kind: Some(Kind::Namespace),
        ..On::any().by_token(CONSUMER)
    };
    relay.stand_in().faults().deny(on);
    let consumer = relay.consumer("").await;
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("guarded", &values[0]).await;
    let said = "no permission to list namespaces";
    consumer.wait_log(said, READY).await.unwrap();
    let log = consumer.logs();
    assert_eq!(log.matches(said).count(), 1, "{log}");
}
