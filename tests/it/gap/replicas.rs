//! Several replicas, and one gap.

use std::time::Duration;

use eso_relay::stream::position::GONE_AFTER;
use eso_relay_lab::{
    cluster::Kind,
    daemon::Daemon,
    installation::{Cluster, READY},
    standin::{Effect, On, Times, Verb},
    wait,
};

use super::{closed, gaps, open_gap};
use crate::consuming::{CONSUMER, Consuming, TEAM, names, strs};

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_replicas_refreshes_everything() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db", "mail"]).await;
    open_gap(&relay).await;
    let (one, other) = tokio::join!(relay.consumer(""), relay.consumer(""));
    for name in ["db", "mail"] {
        relay.cluster.refreshed(TEAM, name, None).await.unwrap();
    }
    closed(&relay).await;
    assert_eq!(gaps(&one).await + gaps(&other).await, 1);
    assert_eq!(relay.requests().patches(TEAM, "db").len(), 1);
}

/// The one that has begun comes first.
async fn by_work(one: Daemon, other: Daemon) -> (Daemon, Daemon) {
    let begun = wait::until("one to begin", READY, || async {
        let begun = (gaps(&one).await, gaps(&other).await);
        (begun != (0, 0)).then_some(begun)
    });
    match begun.await.unwrap() {
        (1, 0) => (one, other),
        (0, 1) => (other, one),
        both => panic!("{both:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_continues_the_gap() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let names = names("db", 60);
    let relay = Consuming::on(cluster, &strs(&names)).await;
    let patches = On::verb(Verb::Patch, Kind::ExternalSecret).by_token(CONSUMER);
    let slow = Effect::Slow(Duration::from_secs(1));
    relay.stand_in().faults().inject(patches, slow, Times::All);
    open_gap(&relay).await;
    let one_by_one = "refresh: { concurrency: 1 }";
    let (one, other) = tokio::join!(relay.consumer(one_by_one), relay.consumer(one_by_one));
    let (mut killed, other) = by_work(one, other).await;
    killed.kill9().unwrap();
    let begun = wait::until("the other one to begin", GONE_AFTER + READY, || async {
        (gaps(&other).await == 1).then_some(())
    });
    begun.await.unwrap();

    // Handed back: the next one does not wait until the claim is old.
    let mut stopped = other;
    let last = relay.consumer("").await;
    assert_eq!(gaps(&last).await, 0);
    stopped.terminate().unwrap();
    stopped.wait_exit(READY).await.unwrap();
    for name in &names {
        relay.cluster.refreshed(TEAM, name, None).await.unwrap();
    }
    closed(&relay).await;
    assert_eq!(gaps(&last).await, 1);
}
