//! The task that publishes receipts, batched, so that they delay nothing.

use std::{collections::HashMap, time::Duration};

use async_nats::{Client, connection::State};
use eso_relay::{event::Fingerprint, stream::Receipt};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout_at},
};
use tracing::debug;

/// The capacity of the channel to [`publish`].
pub(crate) const CAPACITY: usize = 4096;

/// How long a receipt waits for a later one of the same event, which replaces it.
const BATCH_DELAY: Duration = Duration::from_millis(200);
/// The most in a batch, so a thousand a second: a server that syncs each message to its disk has events to
/// store as well.
const BATCH: usize = 200;

/// Returns whether there was room. Receipts of events that match nothing leave half of it to the others.
pub(crate) fn send(receipts: &mpsc::Sender<Receipt>, receipt: Receipt) -> bool {
    let reserved = if receipt.matched == 0 {
        CAPACITY / 2
    } else {
        0
    };
    receipts.capacity() > reserved && receipts.try_send(receipt).is_ok()
}

/// Runs until the worker has ended and every receipt is published.
pub(crate) async fn publish(client: Client, mut receipts: mpsc::Receiver<Receipt>) {
    while let Some(first) = receipts.recv().await {
        let mut latest = HashMap::from([(first.fingerprint, first)]);
        let until = Instant::now() + BATCH_DELAY;
        while latest.len() < BATCH
            && let Ok(Some(receipt)) = timeout_at(until, receipts.recv()).await
        {
            latest.insert(receipt.fingerprint, receipt);
        }
        publish_all(&client, latest).await;
        if !receipts.is_closed() {
            sleep_until(until).await;
        }
    }
    if let Err(error) = client.flush().await {
        debug!(%error, "the last receipts may be lost");
    }
}

async fn publish_all(client: &Client, receipts: HashMap<Fingerprint, Receipt>) {
    // Without a connection they would only fill the client's buffer.
    if client.connection_state() != State::Connected {
        return;
    }
    for receipt in receipts.into_values() {
        // OK to drop one that cannot be encoded: its fields are numbers and names.
        let Ok(body) = serde_json::to_vec(&receipt) else {
            continue;
        };
        if let Err(error) = client.publish(receipt.subject(), body.into()).await {
            debug!(%error, "cannot send a receipt");
        }
    }
}
