//! Messages that the server does not deliver again.

use std::time::Duration;

use async_nats::jetstream::{AckKind, consumer::PullConsumer};
use eso_relay::stream::{ACK_WAIT, Stream};
use eso_relay_lab::{
    installation::{Cluster, READY},
    wait,
};
use futures::StreamExt as _;

use super::{closed, gaps, position};
use crate::consuming::{Consuming, TEAM};

/// A client that holds it and sends progress looks from outside like a server that has lost it: it is
/// pending, no replica has it, and it does not come again.
#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_message_refreshes_everything() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db", "mail"]).await;
    let events = relay.jetstream.get_stream(Stream::Events.name()).await;
    let durable: PullConsumer = events.unwrap().get_consumer("east").await.unwrap();
    relay.publish(&["/prod/db"]).await;
    let pull = durable.batch().max_messages(1).expires(READY);
    let mut messages = pull.messages().await.unwrap();
    let message = messages.next().await.unwrap().unwrap();
    let (let_go, mut is_let_go) = tokio::sync::oneshot::channel();
    let hold = tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_secs(1));
        while is_let_go.try_recv().is_err() {
            every.tick().await;
            message.ack_with(AckKind::Progress).await.unwrap();
        }
        message.double_ack().await.unwrap();
    });

    let consumer = relay.consumer("").await;
    // Three times ack_wait; a look between two pulls begins that time again.
    let stuck = wait::until("it to be stuck", 6 * ACK_WAIT + READY, || async {
        position(&relay).await?.stuck
    });
    assert_eq!(stuck.await.unwrap().count, 1);
    for name in ["db", "mail"] {
        relay.cluster.refreshed(TEAM, name, None).await.unwrap();
    }
    closed(&relay).await;
    let said = "does not redeliver messages";
    consumer.wait_log(said, READY).await.unwrap();
    let metric = "eso_relay_consumer_stuck_messages";
    assert_eq!(consumer.count(metric, &[]).await.unwrap(), 1);
    let status = relay.hub.cli(&["status"]).await.unwrap();
    let said = "east has 1 messages that the server does not deliver again";
    assert!(status.stdout.contains(said), "{status:?}");

    // The cluster goes on, and says it once.
    let values = relay.publish(&["/prod/mail"]).await;
    relay.carries("mail", &values[0]).await;
    wait::until("the next looks", READY, || async {
        (position(&relay).await?.floor == 2).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(gaps(&consumer).await, 1);

    let_go.send(()).unwrap();
    hold.await.unwrap();
    wait::until("it to be stuck no longer", READY, || async {
        position(&relay).await?.stuck.is_none().then_some(())
    })
    .await
    .unwrap();
    assert_eq!(gaps(&consumer).await, 1);
}
