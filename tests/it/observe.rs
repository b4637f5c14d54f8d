//! The loop closed: what ESO did after a patch is known and told.

use eso_relay_lab::{
    daemon::Daemon,
    installation::{Cluster, READY},
    wait,
};

use crate::consuming::{Consuming, TEAM};

/// Waits until so many of its syncs have ended so.
async fn told(consumer: &Daemon, result: &str, times: f64) {
    let what = format!("{times} {result}");
    wait::until_ok(what, READY, || async {
        let metrics = consumer.metrics().await.unwrap();
        let labels = [("result", result)];
        let count = metrics.sum("eso_relay_consumer_syncs_total", &labels);
        let count = count.unwrap();
        (count.to_bits() == times.to_bits())
            .then_some(())
            .ok_or(count)
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_eso_has_synced_after_the_patch_is_told_as_synced() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db", "mail"]).await;
    let consumer = relay.consumer("").await;
    relay.cluster.values.set("/prod/db", "new");
    relay.publish(&["/prod/db", "/prod/mail"]).await;
    told(&consumer, "synced", 2.0).await;
    let values = relay.cluster.eso.values(TEAM, "db").unwrap();
    assert_eq!(values["value"], "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_eso_is_told_and_not_patched_again() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let consumer = relay.consumer("").await;
    wait::until("the first sync", READY, || async {
        (relay.cluster.eso.syncs(TEAM, "db") > 0).then_some(())
    })
    .await
    .unwrap();
    relay.cluster.values.remove("/prod/db");
    relay.publish(&["/prod/db"]).await;
    // The ack has not waited for it.
    relay.drained().await;
    told(&consumer, "failed", 1.0).await;
    assert_eq!(relay.requests().patches(TEAM, "db").len(), 1);
    // Once it can be read again, the next event is synced.
    relay.cluster.values.set("/prod/db", "back");
    relay.publish(&["/prod/db"]).await;
    told(&consumer, "synced", 1.0).await;
}
