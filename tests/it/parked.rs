//! A message is not held for the fault of one object: it waits in the stream, un-acked.

use eso_relay_lab::{
    cluster::Kind,
    daemon::Daemon,
    installation::{Cluster, READY},
    standin::{Effect, FaultId, On, Times, Verb},
    wait,
};
use reqwest::StatusCode;

use crate::consuming::{CONSUMER, Consuming};

async fn relay() -> Consuming {
    Consuming::on(Cluster::stand_in("east").await.unwrap(), &["db", "web"]).await
}

/// Every patch of `db` is answered so.
fn refuse(relay: &Consuming, status: StatusCode) -> FaultId {
    let patches = On::verb(Verb::Patch, Kind::ExternalSecret).named("db");
    let faults = relay.stand_in().faults();
    faults.inject(
        patches.by_token(CONSUMER),
        Effect::status(status),
        Times::All,
    )
}

/// Waits until everything is delivered, and this many messages are un-acked.
async fn left(relay: &Consuming, unacked: usize) {
    let what = format!("{unacked} messages to be un-acked");
    wait::until_ok(what, READY, || async {
        let info = relay.durable().await;
        let left = (info.num_pending, info.num_ack_pending);
        (left == (0, unacked)).then_some(()).ok_or(left)
    })
    .await
    .unwrap();
}

async fn deliveries(consumer: &Daemon, outcome: &str) -> u64 {
    let name = "eso_relay_consumer_deliveries_total";
    consumer.count(name, &[("outcome", outcome)]).await.unwrap()
}

async fn parks(consumer: &Daemon) {
    let parked = || async { (deliveries(consumer, "parked").await > 0).then_some(()) };
    wait::until("a parked message", READY, parked)
        .await
        .unwrap();
}

async fn stop(consumer: &mut Daemon) {
    consumer.terminate().unwrap();
    assert!(consumer.wait_exit(READY).await.unwrap().success());
}

/// Far more events than may be held.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_without_permission_stops_no_pulling() {
    const EVENTS: usize = 2000;
    let relay = relay().await;
    let fault = refuse(&relay, StatusCode::FORBIDDEN);
    let few = "max_deliveries: 20";
    let mut consumer = relay.consumer(few).await;
    let mut values = Vec::new();
    for _ in 0..EVENTS {
        values = relay.publish(&["/prod/db", "/prod/web"]).await;
    }
    relay.carries("web", &values[1]).await;
    left(&relay, 1).await;
    parks(&consumer).await;

    // No other consumer has the message, and it goes to the next consumer at once.
    stop(&mut consumer).await;
    let mut consumer = relay.consumer(few).await;
    parks(&consumer).await;
    left(&relay, 1).await;

    stop(&mut consumer).await;
    relay.stand_in().faults().lift(fault);
    let consumer = relay.consumer(few).await;
    relay.carries("db", &values[0]).await;
    relay.drained().await;
    assert_eq!(deliveries(&consumer, "acked").await, 1);
    assert_eq!(relay.dead_letters().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_message_is_acked_when_its_object_is_patched() {
    let relay = relay().await;
    let fault = refuse(&relay, StatusCode::CONFLICT);
    let consumer = relay.consumer("").await;
    let values = relay.publish(&["/prod/db"]).await;
    parks(&consumer).await;
    left(&relay, 1).await;
    relay.stand_in().faults().lift(fault);
    relay.carries("db", &values[0]).await;
    relay.drained().await;
    assert_eq!(deliveries(&consumer, "acked").await, 1);
    assert_eq!(deliveries(&consumer, "nacked").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_event_takes_the_place_of_a_parked_message() {
    let relay = relay().await;
    refuse(&relay, StatusCode::FORBIDDEN);
    let consumer = relay.consumer("").await;
    relay.publish(&["/prod/db"]).await;
    parks(&consumer).await;
    relay.publish(&["/prod/db"]).await;
    let acked = || async { (deliveries(&consumer, "acked").await == 1).then_some(()) };
    wait::until("the older message to be acked", READY, acked)
        .await
        .unwrap();
    left(&relay, 1).await;
}

/// The body of a parked message is in the stream alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_parked_message_is_dead_lettered() {
    let relay = relay().await;
    let fault = refuse(&relay, StatusCode::CONFLICT);
    let consumer = relay.consumer("").await;
    relay.publish(&["/prod/db"]).await;
    parks(&consumer).await;
    refuse(&relay, StatusCode::UNPROCESSABLE_ENTITY);
    relay.stand_in().faults().lift(fault);
    relay.drained().await;
    let letters = relay.dead_letters().await;
    assert_eq!(letters.len(), 1);
    let reason = letters[0].headers.get("Eso-Relay-Reason").unwrap();
    assert_eq!(reason.as_str(), "refused");
    assert_eq!(deliveries(&consumer, "dead_lettered").await, 1);
}
