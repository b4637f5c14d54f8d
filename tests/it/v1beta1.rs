//! A cluster whose ESO is older than 0.16 and serves `v1beta1` alone.

use eso_relay_lab::{
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
    assert!(
        consumer.logs().contains("external-secrets.io/v1beta1"),
        "{}",
        consumer.logs()
    );
    let values = relay.publish(&["/prod/db"]).await;
    // Not read through the API: the lab's own client speaks v1.
    let patched = || async { relay.requests().patches(TEAM, "db").pop() };
    let patch = wait::until("a patch", READY, patched).await.unwrap();
    assert_eq!((patch.value, patch.changed), (values[0].clone(), true));
    relay.drained().await;
}
