//! A cluster whose ESO is older than 0.16 and serves `v1beta1` alone.

use eso_relay_lab::{
    cluster::external_secret,
    installation::{Cluster, READY},
    standin::Served,
    wait,
};

use crate::consuming::{Consuming, TEAM};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_serves_only_v1beta1_works() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    relay.stand_in().serve(Served::V1beta1);
    let consumer = relay.consumer("").await;
    let version = "external-secrets.io/v1beta1";
    consumer.wait_log(version, READY).await.unwrap();
    let values = relay.publish(&["/prod/db"]).await;
    // Not read through the API: the lab's own client speaks v1.
    let patched = || async { relay.requests().patches(TEAM, "db").pop() };
    let patch = wait::until("a patch", READY, patched).await.unwrap();
    assert_eq!((patch.value, patch.changed), (values[0].clone(), true));
    relay.drained().await;
}

/// An upgrade of ESO past 0.17 takes `v1beta1` away.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_goes_is_found_again() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db", "web"]).await;
    relay.stand_in().serve(Served::V1beta1);
    let mut consumer = relay.consumer("").await;

    // The watches are open: a patch is the first to miss the version.
    relay.stand_in().serve(Served::V1);
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &values[0]).await;
    consumer
        .wait_log("everything is listed", READY)
        .await
        .unwrap();
    let later = external_secret("later").in_namespace(TEAM);
    let later = later.from_store("akeyless").key("/prod/later");
    later.create(relay.cluster.client()).await.unwrap();
    let values = relay.publish(&["/prod/later"]).await;
    relay.carries("later", &values[0]).await;

    // The watches end: they are the first.
    relay.stand_in().serve(Served::V1beta1);
    relay.stand_in().close_watches();
    let found = || async {
        let again = "the API serves ExternalSecrets in another version now";
        (consumer.logs().matches(again).count() == 2).then_some(())
    };
    wait::until("the version to be found again", READY, found)
        .await
        .unwrap();
    let values = relay.publish(&["/prod/web"]).await;
    let patched = || async { relay.requests().patches(TEAM, "web").pop() };
    let patch = wait::until("a patch", READY, patched).await.unwrap();
    assert_eq!(patch.value, values[0]);
    relay.drained().await;
    consumer.wait_ready(READY).await.unwrap();
}
