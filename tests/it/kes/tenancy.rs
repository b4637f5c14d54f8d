//! Annotations of a namespace that permit its objects or not.

use eso_relay_lab::{
    cluster::{Kind, objects},
    installation::{Cluster, READY},
    kes::{Kes, kes_external_secret, serve_kes},
    standin::{On, Verb},
};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{ENABLED, carries, mark, relay, secret_is};
use crate::consuming::{CONSUMER, Consuming, TEAM};

/// Writes an annotation of the namespace, or removes it.
async fn permit(relay: &Consuming, names: Option<&str>) {
    let annotations = json!({ "externalsecrets.kubernetes-client.io/permitted-key-name": names });
    let patch = json!({ "metadata": { "annotations": annotations } });
    objects(relay.cluster.client(), Kind::Namespace, None)
        .patch(TEAM, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_namespace_does_not_permit_waits_for_that() {
    let (relay, kes) = relay(Kes::builder(), json!({})).await;
    permit(&relay, Some("^/other/")).await;
    let consumer = relay.consumer(ENABLED).await;
    relay.cluster.values.set("/prod/db", "new");
    let values = relay.publish(&["/prod/db"]).await;
    relay.drained().await;
    let metric = "eso_relay_consumer_skipped_total";
    let skipped = consumer.count(metric, &[("reason", "not_permitted")]);
    assert_eq!(skipped.await.unwrap(), 1);
    assert_eq!(mark(&relay).await, None);
    assert_eq!(kes.polls(TEAM, "db"), 1);
    permit(&relay, Some("/prod/")).await;
    carries(&relay, &values[0]).await;
    secret_is(&relay, "new").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_that_cannot_be_read_is_said() {
    let (relay, _kes) = relay(Kes::builder(), json!({})).await;
    permit(&relay, Some("(?=/prod)")).await;
    let consumer = relay.consumer(ENABLED).await;
    let said = "an annotation of this namespace permits nothing";
    let line = consumer.wait_log(said, READY).await.unwrap();
    assert!(line.contains(TEAM), "{line}");
    relay.publish(&["/prod/db"]).await;
    relay.drained().await;
    assert_eq!(mark(&relay).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn enforced_without_namespaces_nothing_is_permitted() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    serve_kes(&cluster).await.unwrap();
    let relay = Consuming::on(cluster, &[]).await;
    let db = kes_external_secret(TEAM, "db", "akeyless", "/prod/db", &json!({}));
    db.create(relay.cluster.client()).await.unwrap();
    permit(&relay, Some(".*")).await;
    let list = On::verb(Verb::List, Kind::Namespace).by_token(CONSUMER);
    relay.stand_in().faults().deny(list);
    let enforced = format!("{ENABLED}\ntenancy: {{ enforce: true }}");
    let consumer = relay.consumer(&enforced).await;
    let said = "`tenancy.enforce` permits no object";
    relay.publish(&["/prod/db"]).await;
    relay.drained().await;
    assert_eq!(mark(&relay).await, None);
    consumer.wait_log(said, READY).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_holds_those_of_eso_too() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    permit(&relay, Some("^/other/")).await;
    let _consumer = relay
        .consumer("tenancy: { namespace_annotations: all }")
        .await;
    let values = relay.publish(&["/prod/db"]).await;
    relay.drained().await;
    assert_eq!(relay.cluster.refresh_of(TEAM, "db").await, None);
    permit(&relay, None).await;
    relay.carries("db", &values[0]).await;
}
