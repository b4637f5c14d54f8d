//! A second refresh after the store has settled, through whatever happens between the two.

use std::time::Duration;

use eso_relay::{Event, stream::ACK_WAIT};
use eso_relay_lab::{
    daemon::{Daemon, DaemonOptions},
    installation::{BASIC_PASSWORD, BASIC_USER, Cluster, READY, Webhooks},
    standin::PatchSeen,
    wait,
};
use serde_json::json;

use crate::{
    cli,
    consuming::{Consuming, TEAM, drained, event, fingerprint},
};

const BY_STORE: &str = "refresh: { settle: [{ kind: SecretStore, name: 'akey*', after: 2s }] }";
const SETTLE: Duration = Duration::from_secs(2);

async fn one_secret() -> Consuming {
    Consuming::on(Cluster::stand_in("east").await.unwrap(), &["db"]).await
}

fn patches(relay: &Consuming) -> Vec<PatchSeen> {
    relay.requests().patches(TEAM, "db")
}

async fn patched(relay: &Consuming, times: usize) -> Vec<PatchSeen> {
    wait::until_ok(format!("{times} patches"), READY, || async {
        let patches = patches(relay);
        (patches.len() == times)
            .then(|| patches.clone())
            .ok_or(patches)
    })
    .await
    .unwrap()
}

/// Both values of the event, each written once and so long after one another.
fn assert_settled(patches: &[PatchSeen], value: &str, settle: Duration) {
    let [first, second] = patches else {
        panic!("not two patches: {patches:?}");
    };
    assert_eq!(first.value, value);
    assert_eq!(second.value, format!("{value};settle"));
    assert!(first.changed && second.changed, "{patches:?}");
    assert!(second.at - first.at >= settle, "{patches:?}");
}

fn webhook(relay: &Consuming) -> DaemonOptions {
    Daemon::ingress()
        .env("BASIC_AUTH_USER", BASIC_USER)
        .env("BASIC_AUTH_PASSWORD", BASIC_PASSWORD)
        .env("ESO_RELAY__NATS__URL", relay.hub.nats.url())
        .env("ENABLE_CACHE_BUSTER", "true")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_buster_writes_two_marks() {
    let relay = one_secret().await;
    let _consumer = relay.consumer("").await;
    let ingress = webhook(&relay).env("CACHE_BUSTER_WAIT_INTERVAL", "500ms");
    let mut ingress = ingress.start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let webhooks = Webhooks::to(&ingress.url());
    let payload = json!([{ "item_name": "/prod/db" }]);
    let answer = webhooks.seed(&payload).await.unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    relay.drained().await;
    let patches = patches(&relay);
    assert_settled(&patches, &patches[0].value, Duration::from_millis(500));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_cache_buster_waits_two_seconds() {
    let relay = one_secret().await;
    let ingress = webhook(&relay).env("CACHE_BUSTER_WAIT_INTERVAL", "soon");
    let mut ingress = ingress.start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let said = "CACHE_BUSTER_WAIT_INTERVAL is not";
    let told = ingress.wait_log(said, READY).await.unwrap();
    assert!(told.contains("waiting 2s"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_has_one_second_refresh() {
    let relay = one_secret().await;
    let settling = "refresh: { settle: [{ name: akeyless, after: 8s }] }";
    let _consumer = relay.consumer(settling).await;
    let mut last = String::new();
    for times in 1..=3 {
        last = relay.publish(&["/prod/db"]).await.remove(0);
        patched(&relay, times).await;
    }
    let waits = || async { (relay.durable().await.num_ack_pending == 1).then_some(()) };
    wait::until("the newest alone to wait", READY, waits)
        .await
        .unwrap();
    relay.drained().await;
    let patches = patches(&relay);
    assert_settled(&patches[2..], &last, Duration::from_secs(8));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_at_an_orderly_stop_another_replica_settles() {
    let relay = one_secret().await;
    // So long that nothing here has waited for it.
    relay.set_ack_wait(Duration::from_secs(24 * 3600)).await;
    let settling = "refresh: { settle: [{ name: akeyless, after: 10m }] }";
    let mut stopped = relay.consumer(settling).await;
    let value = relay.publish(&["/prod/db"]).await.remove(0);
    patched(&relay, 1).await;
    stopped.terminate().unwrap();
    let status = stopped.wait_exit(READY).await.unwrap();
    assert!(status.success(), "{status}\n{}", stopped.logs());

    let _other = relay.consumer(BY_STORE).await;
    relay.drained().await;
    assert_settled(&patches(&relay), &value, SETTLE);
}

/// Waits for the server's `ack_wait`: a consumer takes no shorter one.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_leaves_the_second_mark_to_another() {
    let relay = one_secret().await;
    let mut killed = relay.consumer("").await;
    let settling = Event {
        settle: Some("3s".parse().unwrap()),
        ..event("/prod/db")
    };
    cli::publish(&relay.jetstream, std::slice::from_ref(&settling)).await;
    patched(&relay, 1).await;
    killed.kill9().unwrap();

    let _other = relay.consumer("").await;
    assert_eq!(relay.durable().await.num_ack_pending, 1);
    drained(&relay.jetstream, "east", ACK_WAIT + READY).await;
    // The first was not written again: the object said that it was done.
    let value = fingerprint(&settling);
    assert_settled(&patches(&relay), &value, ACK_WAIT);
    assert_eq!(relay.dead_letters().await.len(), 0);
}
