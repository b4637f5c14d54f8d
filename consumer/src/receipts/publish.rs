//! Receipts go out, a little later and together, so that they hold up nothing.

use std::{collections::HashMap, time::Duration};

use async_nats::{Client, connection::State};
use eso_relay::{event::Fingerprint, stream::Receipt};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tracing::debug;

/// The most receipts on their way to [`publish`].
pub const CAPACITY: usize = 4096;

/// How long a receipt waits for a later one of the same event, which takes its place.
const GATHER: Duration = Duration::from_millis(200);

/// Until nobody writes receipts any more; what is there then still goes out.
pub async fn publish(client: Client, mut receipts: mpsc::Receiver<Receipt>) {
    while let Some(first) = receipts.recv().await {
        let mut latest = HashMap::from([(first.fingerprint, first)]);
        let until = Instant::now() + GATHER;
        while latest.len() < CAPACITY
            && let Ok(Some(receipt)) = timeout_at(until, receipts.recv()).await
        {
            latest.insert(receipt.fingerprint, receipt);
        }
        send(&client, latest).await;
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
