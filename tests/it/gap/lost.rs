//! What would have hidden a gap: a position that is gone, and a durable that is another one.

use eso_relay::stream::{Position, Start, Stream, durable};
use eso_relay_lab::{
    installation::{Cluster, READY},
    wait,
};

use super::{closed, expire, gaps, noted, position, purge};
use crate::{
    consuming::{Consuming, TEAM},
    link::Link,
};

/// Waits until the object is refreshed once more.
async fn refreshed(relay: &Consuming, name: &str, before: &str) {
    let refreshed = relay.cluster.refreshed(TEAM, name, Some(before));
    refreshed.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_disconnect_is_one_gap() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db", "mail"]).await;
    let link = Link::to(&relay.hub.nats.url()).await;
    let consumer = relay.options("").env("ESO_RELAY__NATS__URL", link.url());
    let mut consumer = consumer.start().await.unwrap();
    consumer.wait_ready(READY).await.unwrap();
    let before = relay.publish(&["/prod/db", "/prod/mail"]).await;
    relay.carries("mail", &before[1]).await;
    noted(&relay, 1).await;

    link.cut().await;
    relay.publish(&["/prod/db"]).await;
    expire(&relay, Stream::Events).await;
    expire(&relay, Stream::Receipts).await;
    // The first ack after it moves the floor past what no consumer has seen.
    let last = relay.publish(&["/prod/mail"]).await;
    link.restore();
    refreshed(&relay, "db", &before[0]).await;
    relay.carries("mail", &last[0]).await;
    closed(&relay).await;
    assert_eq!(gaps(&consumer).await, 1);
    let found = position(&relay).await.unwrap();
    let later = wait::until("another look", READY, || async {
        let position = position(&relay).await?;
        (position.at > found.at && position.floor == 3).then_some(position)
    });
    assert_eq!(later.await.unwrap().gap, None);
    assert_eq!(gaps(&consumer).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_receipts_does_not_push_the_position_out() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let mut first = relay.consumer("").await;
    let before = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &before[0]).await;
    noted(&relay, 1).await;
    first.terminate().unwrap();
    first.wait_exit(READY).await.unwrap();

    let receipts = relay.jetstream.get_stream(Stream::Receipts.name()).await;
    let mut small = receipts.unwrap().cached_info().config.clone();
    small.max_bytes = 64 * 1024;
    relay.jetstream.update_stream(small).await.unwrap();
    for at in 0..128 {
        let subject = format!("eso-relay.receipts.v1.west.prod.{at:020}");
        let receipt = vec![b' '; 1024];
        let ack = relay.jetstream.publish(subject, receipt.into()).await;
        ack.unwrap().await.unwrap();
    }
    relay.publish(&["/prod/db"]).await;
    purge(&relay).await;
    let consumer = relay.consumer("").await;
    refreshed(&relay, "db", &before[0]).await;
    closed(&relay).await;
    assert_eq!(gaps(&consumer).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_durable_has_a_gap() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let consumer = relay.consumer("").await;
    let before = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &before[0]).await;
    noted(&relay, 1).await;
    let events = relay.jetstream.get_stream(Stream::Events.name()).await;
    let events = events.unwrap();
    events.delete_consumer("east").await.unwrap();
    relay.publish(&["/prod/db"]).await;
    relay.hub.init(&["east"]).await.unwrap();
    assert_eq!(relay.durable().await.num_pending, 0);
    refreshed(&relay, "db", &before[0]).await;
    closed(&relay).await;
    assert_eq!(gaps(&consumer).await, 1);

    // From the oldest event it sees all of them again.
    events.delete_consumer("east").await.unwrap();
    let from_the_oldest = durable(&"east".parse().unwrap(), Start::Oldest);
    events.create_consumer(from_the_oldest).await.unwrap();
    let made = eso_relay::nats::timestamp(relay.durable().await.created);
    wait::until("a look at the new durable", READY, || async {
        let position = position(&relay).await?;
        (position.durable == Some(made) && position.floor == 2).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(gaps(&consumer).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_of_an_older_version_is_taken_over() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let events = relay.jetstream.get_stream(Stream::Events.name()).await;
    let created = eso_relay::nats::timestamp(events.unwrap().cached_info().created);
    let old = format!(r#"{{"stream":"{created}","floor":0}}"#);
    let subject = Position::old_subject(&"east".parse().unwrap());
    let ack = relay.jetstream.publish(subject, old.into()).await.unwrap();
    ack.await.unwrap();
    relay.publish(&["/prod/db"]).await;
    // The ack floor alone would say that it was seen.
    purge(&relay).await;
    let consumer = relay.consumer("").await;
    relay.cluster.refreshed(TEAM, "db", None).await.unwrap();
    closed(&relay).await;
    assert_eq!(gaps(&consumer).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_stream_is_not_taken_for_a_permission() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let consumer = relay.consumer("").await;
    let stream = Stream::Events.name();
    relay.jetstream.delete_stream(stream).await.unwrap();
    let failed = "cannot check for missed events";
    let line = consumer.wait_log(failed, READY).await.unwrap();
    assert!(line.contains("run `eso-relay init`"), "{line}");
    assert!(!line.contains("may this user"), "{line}");
}
