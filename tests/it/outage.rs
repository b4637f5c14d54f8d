//! A cluster that is away, from the start or in between.

use eso_relay_lab::{
    daemon::Daemon,
    installation::{Cluster, Installation, READY},
    wait,
};
use reqwest::StatusCode;

use crate::consuming::{Consuming, TEAM, drained, fill, names, strs};

#[tokio::test(flavor = "multi_thread")]
async fn an_outages_backlog_is_coalesced() {
    let names = names("db", 100);
    let keys: Vec<String> = names.iter().map(|name| format!("prod/{name}")).collect();
    let mut clusters = Vec::new();
    for name in ["east", "west"] {
        let cluster = Cluster::stand_in(name).await.unwrap();
        fill(&cluster, &strs(&names)).await;
        clusters.push(cluster);
    }
    let mut installation = Installation::start(clusters).await.unwrap();
    installation.clusters[0].go_away().await.unwrap();
    let webhooks = installation.webhooks();
    for _ in 0..100 {
        let answer = webhooks.updated(&strs(&keys)).await.unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    let jetstream = installation.hub.jetstream().await.unwrap();
    drained(&jetstream, "west", READY).await;
    let east = installation.clusters[0].as_stand_in().unwrap().requests();
    assert_eq!(east.patches(TEAM, "db-0").len(), 0);

    installation.clusters[0].come_back().await.unwrap();
    drained(&jetstream, "east", READY).await;
    let east = installation.clusters[0].as_stand_in().unwrap().requests();
    for name in &names {
        let patches = east.patches(TEAM, name);
        assert!((1..=2).contains(&patches.len()), "{name}: {patches:?}");
        let west = installation.clusters[1].refresh_of(TEAM, name).await;
        let last = patches.last().map(|patch| patch.value.clone());
        assert_eq!(last, west, "{name}: the newest event wins in both clusters");
    }
    assert_eq!(east.most_in_flight_of_any(), 1);
}

/// Ten thousand messages of one event each.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_single_events_is_coalesced_too() {
    let names = names("db", 100);
    let relay = Consuming::on(Cluster::stand_in("east").await.unwrap(), &strs(&names)).await;
    let keys = names.iter().cycle().map(|name| format!("/prod/{name}"));
    relay.publish_each(keys.take(10_000)).await;
    let _consumer = relay.consumer("").await;
    relay.drained().await;
    // What is pulled together is one patch; a slow machine pulls in more than two parts.
    for name in &names {
        let patches = relay.requests().patches(TEAM, name);
        assert!((1..=10).contains(&patches.len()), "{name}: {patches:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_waits_for_nats_and_kubernetes() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let mut relay = Consuming::on(cluster, &["db"]).await;
    relay.cluster.go_away().await.unwrap();
    relay.hub.nats.stop().await.unwrap();

    let mut consumer = relay.options("").start().await.unwrap();
    missing(&consumer, &["nats", "stream", "kubernetes"], &[]).await;
    relay.hub.nats.start_again().await.unwrap();
    missing(
        &consumer,
        &["kubernetes cannot reach the API:"],
        &["nats ok", "stream ok"],
    )
    .await;
    relay.cluster.come_back().await.unwrap();
    consumer.wait_ready(READY).await.unwrap();

    relay.jetstream = relay.hub.jetstream().await.unwrap();
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &values[0]).await;
    relay.drained().await;
}

/// Waits until `/readyz` says no, because of these and not of those.
async fn missing(consumer: &Daemon, unmet: &[&str], met: &[&str]) {
    let what = format!("/readyz to miss {unmet:?} and not {met:?}");
    wait::until_ok(what, READY, || async {
        let (status, text) = consumer.readyz().await.unwrap();
        let says = |sign: &str, names: &[&str]| {
            let mut names = names.iter();
            names.all(|name| text.contains(&format!("[{sign}]{name}")))
        };
        let so = says("-", unmet) && says("+", met) && status == StatusCode::SERVICE_UNAVAILABLE;
        so.then_some(()).ok_or(text)
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_outage_loses_nothing() {
    let cluster = Cluster::start("east").await.unwrap();
    let names = names("db", 20);
    let mut relay = Consuming::on(cluster, &strs(&names)).await;
    let consumer = relay.consumer("").await;
    relay.cluster.go_away().await.unwrap();
    let mut values = relay.publish(&["/prod/db-0"]).await;
    // More do not start: from then on the API is probed.
    faults(&consumer, 3).await;
    let not_pulling = || async { (relay.durable().await.num_waiting == 0).then_some(()) };
    wait::until("the last pull request to end", READY, not_pulling)
        .await
        .unwrap();
    for name in &names[1..] {
        values.extend(relay.publish(&[&format!("/prod/{name}")]).await);
    }
    let away = consumer.count("eso_relay_consumer_kubernetes_away", &[]);
    assert_eq!(away.await.unwrap(), 1);
    let info = relay.durable().await;
    assert_eq!((info.num_pending, info.num_ack_pending), (19, 1));

    relay.cluster.come_back().await.unwrap();
    for (name, value) in names.iter().zip(&values) {
        relay.carries(name, value).await;
    }
    relay.drained().await;
    assert_eq!(relay.dead_letters().await.len(), 0);
    assert_eq!(relay.durable().await.num_redelivered, 0);
}

/// Waits until this many patches in all have found the API away.
async fn faults(consumer: &Daemon, wanted: u64) {
    let metric = "eso_relay_consumer_patches_total";
    let labels = [("result", "cluster_fault")];
    let faults = || async { consumer.count(metric, &labels).await.unwrap() };
    let met = || async { (faults().await >= wanted).then_some(()) };
    let what = format!("{wanted} patches that fail");
    wait::until(what, READY, met).await.unwrap();
}
