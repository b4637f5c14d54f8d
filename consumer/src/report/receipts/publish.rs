//! Receipts go out, a little later and together, so that they hold up nothing.

use std::{collections::HashMap, time::Duration};

use async_nats::{Client, connection::State};
use eso_relay::{event::Fingerprint, stream::Receipt};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout_at},
};
use tracing::debug;

/// The most receipts on their way to [`publish`].
pub const CAPACITY: usize = 4096;

/// How long a receipt waits for a later one of the same event, which takes its place.
const GATHER: Duration = Duration::from_millis(200);
/// The most in that time, so a thousand a second: a server that syncs each message to its disk has
/// events to store as well.
const AT_ONCE: usize = 200;

/// Where many events mean nothing here, their receipts leave room for those that tell more. Whether
/// it was handed in.
pub fn hand_in(receipts: &mpsc::Sender<Receipt>, receipt: Receipt) -> bool {
    let reserved = if receipt.matched == 0 {
        CAPACITY / 2
    } else {
        0
    };
    receipts.capacity() > reserved && receipts.try_send(receipt).is_ok()
}

/// Until nobody writes receipts any more; what is there then still goes out.
pub async fn publish(client: Client, mut receipts: mpsc::Receiver<Receipt>) {
    while let Some(first) = receipts.recv().await {
        let mut latest = HashMap::from([(first.fingerprint, first)]);
        let until = Instant::now() + GATHER;
        while latest.len() < AT_ONCE
            && let Ok(Some(receipt)) = timeout_at(until, receipts.recv()).await
        {
            latest.insert(receipt.fingerprint, receipt);
        }
        send(&client, latest).await;
        if !receipts.is_closed() {
            sleep_until(until).await;
        }
    }
    if let Err(error) = client.flush().await {
        debug!(%error, "the last receipts may be lost");
    }
}

async fn send(client: &Client, receipts: HashMap<Fingerprint, Receipt>) {
    // Without a connection they would only fill the client's queue.
    if client.connection_state() != State::Connected {
        return;
    }
    for receipt in receipts.into_values() {
        // OK to leave out what cannot be written: its fields are numbers and names.
        let Ok(body) = serde_json::to_vec(&receipt) else {
            continue;
        };
        if let Err(error) = client.publish(receipt.subject(), body.into()).await {
            debug!(%error, "a receipt was not sent");
        }
    }
}
