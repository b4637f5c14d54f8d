//! Several consumers of one cluster, and the work of one that dies or is replaced.

use std::time::Duration;

use eso_relay::stream::ACK_WAIT;
use eso_relay_lab::{
    cluster::Kind,
    daemon::Daemon,
    installation::{Cluster, READY},
    standin::{Effect, On, Times, Verb},
    wait,
};

use crate::consuming::{CONSUMER, Consuming, TEAM, drained, names, strs};

/// Patches that take a while, so that work is under way whenever something happens.
fn slow_down(relay: &Consuming, by: Duration) {
    let patches = On::verb(Verb::Patch, Kind::ExternalSecret).by_token(CONSUMER);
    let faults = relay.stand_in().faults();
    faults.inject(patches, Effect::Slow(by), Times::All);
}

async fn acked(consumer: &Daemon) -> u64 {
    let name = "eso_relay_consumer_deliveries_total";
    consumer.count(name, &[("outcome", "acked")]).await.unwrap()
}

/// Waits until some of the work is done and some is not.
async fn amid_the_work(relay: &Consuming) {
    wait::until("deliveries at work", READY, async || {
        let info = relay.durable().await;
        (info.ack_floor.stream_sequence > 0 && info.num_ack_pending > 0).then_some(())
    })
    .await
    .unwrap();
}

/// The one test that waits for the server's `ack_wait`: a consumer takes no shorter one.
#[tokio::test(flavor = "multi_thread")]
async fn another_replica_takes_over_after_ack_wait() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let names = names("db", 40);
    let relay = Consuming::on(cluster, &strs(&names)).await;
    slow_down(&relay, Duration::from_millis(300));
    let mut killed = relay.consumer("refresh: { concurrency: 4 }").await;
    let mut values = Vec::new();
    for name in &names {
        values.extend(relay.publish(&[&format!("/prod/{name}")]).await);
    }
    amid_the_work(&relay).await;
    killed.kill9().unwrap();
    let in_hand = relay.durable().await.num_ack_pending;
    assert!(in_hand > 0, "it was killed too late");

    let _other = relay.consumer("").await;
    drained(&relay.jetstream, "east", ACK_WAIT + READY).await;
    for (name, value) in names.iter().zip(&values) {
        relay.carries(name, value).await;
    }
    assert_eq!(relay.dead_letters().await.len(), 0);
}

/// As an older version declared it: it works, and somebody is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_durable_with_an_older_ack_wait_works_and_is_said_once() {
    let relay = Consuming::on(Cluster::stand_in("east").await.unwrap(), &["db"]).await;
    relay.set_ack_wait(Duration::from_secs(60)).await;
    let consumer = relay.consumer("").await;
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &values[0]).await;
    let said = "not as this version declares it";
    consumer.wait_log(said, READY).await.unwrap();
    let warned = wait::until_ok("a warning in /readyz", READY, async || {
        let (_, ready) = consumer.readyz().await.unwrap();
        let warning = "[+]stream ok, but durable `east`: ack_wait 1m";
        ready.contains(warning).then_some(()).ok_or(ready)
    });
    warned.await.unwrap();
    assert_eq!(consumer.logs().matches(said).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_of_consumers_strands_nothing() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let names = names("db", 60);
    let relay = Consuming::on(cluster, &strs(&names)).await;
    // So long that the end of this test shows that no delivery waited for it.
    relay.set_ack_wait(Duration::from_secs(24 * 3600)).await;
    slow_down(&relay, Duration::from_millis(100));
    let mut consumers = Vec::new();
    for _ in 0..3 {
        consumers.push(relay.consumer("refresh: { concurrency: 2 }").await);
    }
    let mut values = Vec::new();
    for consumer in &mut consumers {
        for _ in 0..2 {
            values.clear();
            for name in &names {
                values.extend(relay.publish(&[&format!("/prod/{name}")]).await);
            }
        }
        amid_the_work(&relay).await;
        consumer.terminate().unwrap();
        let status = consumer.wait_exit(READY).await.unwrap();
        assert!(status.success(), "{status}\n{}", consumer.logs());
        assert!(
            !consumer.logs().contains("last acks may be lost"),
            "{}",
            consumer.logs()
        );
        consumer.start_again().await.unwrap();
        consumer.wait_ready(READY).await.unwrap();
    }
    relay.drained().await;
    for (name, value) in names.iter().zip(&values) {
        let patches = relay.requests().patches(TEAM, name);
        assert!(
            patches.iter().any(|patch| patch.value == *value),
            "{name} was never refreshed for its last event: {patches:?}"
        );
    }
    assert_eq!(relay.dead_letters().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_consumers_share_one_durable() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let mut names = names("db", 90);
    names.push("hot".to_owned());
    let relay = Consuming::on(cluster, &strs(&names)).await;
    names.pop();
    slow_down(&relay, Duration::from_millis(50));
    let mut consumers = Vec::new();
    for _ in 0..3 {
        consumers.push(relay.consumer("max_deliveries: 5").await);
    }
    let mut values = Vec::new();
    for name in &names {
        // Beside its own, each message has an event for the key that all share.
        let own = format!("/prod/{name}");
        let written = relay.publish(&[&own, "/prod/hot"]).await;
        values.push(written[0].clone());
    }
    relay.drained().await;
    for (name, value) in names.iter().zip(&values) {
        let patches = relay.requests().patches(TEAM, name);
        assert!(patches.iter().any(|patch| patch.value == *value), "{name}");
    }
    let mut all = 0;
    for consumer in &consumers {
        let acked = acked(consumer).await;
        assert!(acked > 0, "one got no delivery:\n{}", consumer.logs());
        all += acked;
    }
    assert_eq!(all, 90, "each message is acked once");
    let most = relay.requests().most_in_flight_of_any();
    assert!(
        most <= 3,
        "{most} patches of one object at once, by 3 consumers"
    );
}
