//! What the consumer does with each answer of the Kubernetes API (`consumer/src/kubernetes/outcome.rs`).

use eso_relay_lab::{
    cluster::{Kind, delete, external_secret},
    daemon::Daemon,
    installation::{Cluster, READY},
    standin::{Effect, FaultId, On, Times, Verb},
    wait,
};
use reqwest::StatusCode;

use crate::consuming::{CONSUMER, Consuming, TEAM};

async fn relay() -> Consuming {
    Consuming::on(Cluster::stand_in("east").await.unwrap(), &["db", "web"]).await
}

/// Every patch of `db` meets this.
fn afflict(relay: &Consuming, effect: Effect, times: Times) -> FaultId {
    let patches = On::verb(Verb::Patch, Kind::ExternalSecret).named("db");
    relay
        .stand_in()
        .faults()
        .inject(patches.by_token(CONSUMER), effect, times)
}

async fn patches(consumer: &Daemon, result: &str) -> u64 {
    let name = "eso_relay_consumer_patches_total";
    consumer.count(name, &[("result", result)]).await.unwrap()
}

/// Acked, handed back for later, dead-lettered.
async fn deliveries(consumer: &Daemon) -> [u64; 3] {
    let mut counts = [0; 3];
    let outcomes = ["acked", "nacked", "dead_lettered"];
    for (count, outcome) in counts.iter_mut().zip(outcomes) {
        let name = "eso_relay_consumer_deliveries_total";
        *count = consumer.count(name, &[("outcome", outcome)]).await.unwrap();
    }
    counts
}

/// The patch of one target of a message fails until the fault is lifted: it is tried again in place,
/// holds up no other target, and uses up no delivery.
async fn is_retried_in_place(relay: &Consuming, consumer: &Daemon, result: &str, effect: Effect) {
    let (tried, before) = (patches(consumer, result).await, deliveries(consumer).await);
    let what = format!("two tries that meet {effect:?}");
    let fault = afflict(relay, effect, Times::All);
    let values = relay.publish(&["/prod/db", "/prod/web"]).await;
    relay.carries("web", &values[1]).await;
    let twice = || async { (patches(consumer, result).await >= tried + 2).then_some(()) };
    wait::until(what, READY, twice).await.unwrap();
    assert_eq!(relay.durable().await.num_ack_pending, 1, "acked too early");

    relay.stand_in().faults().lift(fault);
    relay.carries("db", &values[0]).await;
    relay.drained().await;
    assert_eq!(
        deliveries(consumer).await,
        [before[0] + 1, before[1], before[2]]
    );
    assert_eq!(relay.durable().await.num_redelivered, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_cluster_is_retried_in_place_until_it_is_gone() {
    let relay = relay().await;
    let consumer = relay.consumer("kubernetes: { patch_timeout: 1s }").await;
    for effect in [
        Effect::too_many_requests(1),
        Effect::status(StatusCode::INTERNAL_SERVER_ERROR),
        Effect::status(StatusCode::SERVICE_UNAVAILABLE),
        Effect::Hang,
    ] {
        is_retried_in_place(&relay, &consumer, "cluster_fault", effect).await;
    }
    is_retried_in_place(
        &relay,
        &consumer,
        "target_fault",
        Effect::status(StatusCode::CONFLICT),
    )
    .await;
    assert_eq!(relay.requests().most_in_flight(TEAM, "db"), 1);
    assert_eq!(relay.dead_letters().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_holds_up_its_target_alone_and_a_deletion_ends_the_wait() {
    let relay = relay().await;
    let consumer = relay.consumer("").await;
    let fault = afflict(&relay, Effect::status(StatusCode::FORBIDDEN), Times::All);
    let values = relay.publish(&["/prod/db", "/prod/web"]).await;
    relay.carries("web", &values[1]).await;
    let refused = || async { (patches(&consumer, "target_fault").await >= 1).then_some(()) };
    wait::until("a refused patch", READY, refused)
        .await
        .unwrap();
    let values = relay.publish(&["/prod/web"]).await;
    relay.carries("web", &values[0]).await;
    assert_eq!(relay.durable().await.num_ack_pending, 1);
    assert_eq!(relay.dead_letters().await.len(), 0);

    relay.stand_in().faults().lift(fault);
    delete(relay.cluster.client(), TEAM, "db").await.unwrap();
    relay.drained().await;
    assert_eq!(deliveries(&consumer).await, [2, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_gone_needs_nothing() {
    let relay = relay().await;
    let consumer = relay.consumer("").await;
    afflict(&relay, Effect::status(StatusCode::NOT_FOUND), Times::All);
    let values = relay.publish(&["/prod/db", "/prod/web"]).await;
    relay.carries("web", &values[1]).await;
    relay.drained().await;
    assert_eq!(deliveries(&consumer).await, [1, 0, 0]);
    assert_eq!(
        relay
            .requests()
            .count_of(Verb::Patch, Kind::ExternalSecret, 404),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_patch_is_dead_lettered_and_the_other_target_is_patched() {
    let relay = relay().await;
    // A second reader of the same secret.
    let twin = external_secret("twin")
        .in_namespace(TEAM)
        .from_store("akeyless");
    twin.key("prod/db")
        .create(relay.cluster.client())
        .await
        .unwrap();
    let consumer = relay.consumer("").await;
    afflict(
        &relay,
        Effect::status(StatusCode::UNPROCESSABLE_ENTITY),
        Times::All,
    );
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("twin", &values[0]).await;
    relay.drained().await;
    let letters = relay.dead_letters().await;
    assert_eq!(letters.len(), 1);
    let header = |name: &str| {
        letters[0]
            .headers
            .get(name)
            .map(async_nats::HeaderValue::as_str)
    };
    assert_eq!(header("Eso-Relay-Reason"), Some("refused"));
    assert_eq!(header("Eso-Relay-Attempts"), Some("1"));
    let error = header("Eso-Relay-Error").unwrap();
    assert!(error.contains("team-a/db"), "it names no target: {error}");
    assert_eq!(deliveries(&consumer).await, [0, 0, 1]);
    assert_eq!(
        relay
            .requests()
            .count_of(Verb::Patch, Kind::ExternalSecret, 422),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_whose_answer_is_lost_is_done_once() {
    let relay = relay().await;
    let consumer = relay.consumer("").await;
    afflict(&relay, Effect::Disconnect, Times::Next(1));
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &values[0]).await;
    relay.drained().await;
    let patches = relay.requests().patches(TEAM, "db");
    assert_eq!(
        patches.iter().filter(|patch| patch.changed).count(),
        1,
        "{patches:?}"
    );
    assert_eq!(deliveries(&consumer).await, [1, 0, 0]);
}

/// An ExternalSecret of this name is made, and found by events from some moment on.
async fn is_seen(relay: &Consuming, name: &str) {
    let key = format!("/prod/{name}");
    let object = external_secret(name)
        .in_namespace(TEAM)
        .from_store("akeyless");
    object
        .key(&key)
        .create(relay.cluster.client())
        .await
        .unwrap();
    let what = format!("{name} to be refreshed");
    wait::until(what, READY, || async {
        relay.publish(&[&key]).await;
        relay.cluster.refresh_of(TEAM, name).await
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_closed_or_too_old_goes_on() {
    let relay = relay().await;
    let mut consumer = relay.consumer("").await;
    let listed = || relay.requests().count(Verb::List, Kind::ExternalSecret);
    relay.stand_in().close_watches();
    is_seen(&relay, "after-close").await;
    let before = listed();
    relay.stand_in().expire_watches();
    is_seen(&relay, "after-410").await;
    assert!(
        listed() > before,
        "what the watch has missed must be listed"
    );
    consumer.wait_ready(READY).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_fails_is_told_by_readyz_and_nothing_is_pulled_before_it_is_whole() {
    let relay = relay().await;
    let lists = On::verb(Verb::List, Kind::SecretStore).by_token(CONSUMER);
    let error = Effect::status(StatusCode::INTERNAL_SERVER_ERROR);
    let fault = relay.stand_in().faults().inject(lists, error, Times::All);
    let values = relay.publish(&["/prod/db"]).await;
    let mut consumer = relay.options("").start().await.unwrap();
    let told = || async {
        let (status, text) = consumer.readyz().await.unwrap();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
        text.contains("[-]kubernetes cannot list SecretStores")
            .then_some(())
    };
    wait::until("/readyz to name the list", READY, told)
        .await
        .unwrap();
    let info = relay.durable().await;
    assert_eq!((info.num_pending, info.num_ack_pending), (1, 0));

    relay.stand_in().faults().lift(fault);
    consumer.wait_ready(READY).await.unwrap();
    relay.carries("db", &values[0]).await;
}
