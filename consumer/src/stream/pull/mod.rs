//! The pull loop: requests as many messages from the durable as the worker has room for.
//!
//! It uses a plain subscription, because the client's own streams stall with small batches, lose
//! deliveries after idle heartbeats, and send no new request after a restart of the server.

use std::{
    iter, mem,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use async_nats::{
    Client, Subscriber,
    jetstream::{
        self, Context,
        consumer::{PullConsumer, pull::BatchConfig},
    },
};
use eso_relay::{Slug, admin::Condition, nats, stream::verify};
use futures::StreamExt as _;
use prometheus_client::metrics::counter::Counter;
use tokio::{
    sync::{mpsc, watch},
    time::{interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::Message;
use crate::stream::gap::GapCheck;

/// The most messages of one request, and about the most bytes: all of them are sent at once.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;
/// How long the server keeps a request that it cannot fill. Short, because a shutdown waits for it.
const EXPIRES: Duration = Duration::from_secs(2);
/// The idle heartbeat of a waiting request; the server allows at most half of [`EXPIRES`]. It is also how
/// soon a replica notices that another one took the rest of a backlog.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// A request is lost when the server sends nothing for so long.
const SILENCE: Duration = Duration::from_secs(2);
/// How often a reconnect by the client is checked for.
const POLL: Duration = Duration::from_millis(100);
/// How long the gap check may take before it is reported as pending.
const GAP_CHECK: Duration = Duration::from_secs(5);
/// Between two tries to find the durable.
const VERIFY: Duration = Duration::from_millis(500);

/// How many messages the worker has received so far, plus how many more it has room for. The sum does not
/// depend on how many messages are in the channel between the two tasks.
pub(crate) type Credit = u64;

/// What the pull loop sends to the worker.
#[derive(Debug)]
pub(crate) enum Pulled {
    Message(Message),
    /// More messages waited behind the last one, and another replica took them.
    CaughtUp,
}

/// Pulls from the durable of one cluster until `stop`. Sends everything that the server has delivered to
/// the worker, so that the worker can nak what it does not start.
pub(crate) struct Pull {
    pub client: Client,
    pub jetstream: Context,
    pub cluster: Slug,
    /// Met while the durable exists and is configured as required.
    pub condition: Condition,
    pub credit: watch::Receiver<Credit>,
    pub messages: mpsc::Sender<Pulled>,
    pub lost: Counter,
    /// Nothing of a connection reaches the worker before its gap check is done.
    pub gap_check: watch::Receiver<GapCheck>,
    pub stop: CancellationToken,
}

/// What the loop knows of the messages so far.
struct Tally {
    sent: Credit,
    /// Whether more messages waited behind the last one.
    behind: bool,
    /// The moving average of a message's bytes.
    size: usize,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            sent: 0,
            behind: false,
            // Assume large messages at first.
            size: BATCH_BYTES / 64,
        }
    }
}

impl Tally {
    fn add(&mut self, bytes: usize) {
        self.size = (7 * self.size + bytes) / 8;
    }

    /// The most messages of the next request.
    fn batch(&self) -> usize {
        (BATCH_BYTES / self.size.max(1)).clamp(1, BATCH)
    }
}

/// Why a request is lost; the next one uses a new inbox.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("reconnected")]
    Reconnected,
    #[error("the server sent nothing for {SILENCE:?}")]
    Silent,
    #[error("the server answered {status} {description}")]
    Refused { status: u16, description: String },
    #[error("the connection is closed")]
    Closed,
}

impl Pull {
    /// Runs until `stop` is cancelled or the worker ends.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let stop = self.stop.clone();
        let mut tally = Tally::default();
        while let Some((durable, connection)) = stop.run_until_cancelled(self.durable()).await {
            match self.pull(&durable, connection, &mut tally).await {
                Ok(()) => break,
                Err(Lost::Reconnected) => {
                    self.lost.inc();
                    info!("reconnected; pulling again");
                }
                Err(error) => {
                    self.lost.inc();
                    warn!(%error, "a pull request was lost; pulling again");
                    let jitter = Duration::from_millis(fastrand::u64(100..300));
                    stop.run_until_cancelled(sleep(jitter)).await;
                }
            }
        }
        Ok(())
    }

    /// Waits until the durable exists and the gap check of this connection is done.
    async fn durable(&self) -> (PullConsumer, u64) {
        let message = "cannot pull yet; retrying";
        let found = self
            .condition
            .retry(message, iter::repeat(VERIFY), || async {
                nats::connected(&self.client).await?;
                let durable = verify::durable(&self.jetstream, &self.cluster).await?;
                let connection = self.connection();
                self.gaps_checked(connection).await?;
                Ok((durable, connection))
            })
            .await;
        self.condition.met();
        found
    }

    /// Waits for the gap check of this connection. It takes a moment, which is no problem to report.
    async fn gaps_checked(&self, connection: u64) -> anyhow::Result<()> {
        let mut check = self.gap_check.clone();
        let known = check.wait_for(|check| match check {
            GapCheck::Pending => false,
            GapCheck::Failed { .. } => true,
            // A later connection is noticed before the first request.
            GapCheck::Done(on) => *on >= connection,
        });
        match timeout(GAP_CHECK, known).await {
            Ok(Ok(check)) => match &*check {
                GapCheck::Failed { reason } => Err(anyhow!("{reason}")),
                GapCheck::Pending | GapCheck::Done(_) => Ok(()),
            },
            Ok(Err(_)) | Err(_) => Err(anyhow!("not known yet whether events were missed")),
        }
    }

    /// Returns when the gap check of the connection of this moment is done.
    async fn checked_again(&self) {
        while self.gaps_checked(self.connection()).await.is_err() {
            sleep(VERIFY).await;
        }
    }

    /// Sends one request after the other, with one inbox, until a request is lost.
    async fn pull(
        &self,
        durable: &PullConsumer,
        connection: u64,
        tally: &mut Tally,
    ) -> Result<(), Lost> {
        let inbox = self.client.new_inbox();
        let subscription = self.client.subscribe(inbox.clone()).await;
        let mut subscription = subscription.map_err(|_| Lost::Closed)?;
        let end = loop {
            let Some(room) = self.room(tally.sent).await else {
                break Ok(());
            };
            if self.connection() != connection {
                break Err(Lost::Reconnected);
            }
            let request = request(durable, room.min(tally.batch()));
            let batch = request.batch;
            if durable
                .request_batch(request, inbox.clone().into())
                .await
                .is_err()
            {
                break Err(Lost::Closed);
            }
            // Also while stopping: the client drops a subscription before the server does, so a
            // message is lost unless the loop reads until the request has ended.
            let received = self.receive(&mut subscription, batch, connection, tally);
            if let Err(lost) = received.await {
                break Err(lost);
            }
        };
        self.read_the_rest(subscription, connection, tally).await;
        end
    }

    /// Waits for room; `None` while stopping.
    async fn room(&self, sent: Credit) -> Option<usize> {
        let mut credit = self.credit.clone();
        let room = credit.wait_for(|credit| *credit > sent);
        let room = self.stop.run_until_cancelled(room).await?;
        // An error means that the worker has ended.
        let room = room.ok()?.saturating_sub(sent);
        (!self.stop.is_cancelled()).then(|| usize::try_from(room).unwrap_or(usize::MAX))
    }

    /// Reads until the request has ended, with its last message or with a status.
    async fn receive(
        &self,
        subscription: &mut Subscriber,
        batch: usize,
        connection: u64,
        tally: &mut Tally,
    ) -> Result<(), Lost> {
        let mut missing = batch;
        let mut last_read = Instant::now();
        let mut poll = interval(POLL);
        while missing > 0 {
            let message = tokio::select! {
                message = subscription.next() => message.ok_or(Lost::Closed)?,
                _ = poll.tick() => {
                    if self.connection() != connection {
                        return Err(Lost::Reconnected);
                    }
                    if last_read.elapsed() > SILENCE {
                        return Err(Lost::Silent);
                    }
                    continue;
                }
            };
            last_read = Instant::now();
            match message.status.map(|status| status.as_u16()) {
                None => {
                    missing -= 1;
                    self.send(message, connection, tally).await?;
                }
                // An idle heartbeat.
                Some(100) => self.caught_up(tally).await?,
                // No messages, or the request has expired.
                Some(404 | 408) => return self.caught_up(tally).await,
                Some(status) => {
                    return Err(Lost::Refused {
                        status,
                        description: message.description.unwrap_or_default(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Reads what had arrived before the inbox was dropped.
    async fn read_the_rest(
        &self,
        mut subscription: Subscriber,
        connection: u64,
        tally: &mut Tally,
    ) {
        subscription.drain().await.ok();
        while let Ok(Some(message)) = timeout(POLL, subscription.next()).await {
            let is_delivery = message.status.is_none();
            if is_delivery && self.send(message, connection, tally).await.is_err() {
                return;
            }
        }
    }

    async fn send(
        &self,
        message: async_nats::Message,
        connection: u64,
        tally: &mut Tally,
    ) -> Result<(), Lost> {
        // The client keeps a request that it could not send for the next connection, whose gap check comes first.
        if self.connection() != connection {
            self.stop.run_until_cancelled(self.checked_again()).await;
        }
        tally.add(message.payload.len());
        let context = self.jetstream.clone();
        match Message::new(&jetstream::Message { message, context }) {
            Ok(received) => {
                tally.behind = received.pending > 0;
                let sent = self.messages.send(Pulled::Message(received)).await;
                tally.sent += 1;
                sent.map_err(|_| Lost::Closed)
            }
            Err(error) => {
                debug!(%error, "ignoring a message that is no delivery");
                Ok(())
            }
        }
    }

    /// The server has no message for an open request.
    async fn caught_up(&self, tally: &mut Tally) -> Result<(), Lost> {
        if !mem::take(&mut tally.behind) {
            return Ok(());
        }
        let sent = self.messages.send(Pulled::CaughtUp).await;
        sent.map_err(|_| Lost::Closed)
    }

    fn connection(&self) -> u64 {
        nats::connection(&self.client)
    }
}

/// Respects the limits for requests that an operator may have set on the durable.
fn request(durable: &PullConsumer, batch: usize) -> BatchConfig {
    let config = &durable.cached_info().config;
    let most = usize::try_from(config.max_batch)
        .ok()
        .filter(|most| *most > 0)
        .unwrap_or(BATCH);
    let expires = match config.max_expires {
        Duration::ZERO => EXPIRES,
        longest => EXPIRES.min(longest),
    };
    BatchConfig {
        batch: batch.min(most),
        expires: Some(expires),
        idle_heartbeat: HEARTBEAT.min(expires / 2),
        ..BatchConfig::default()
    }
}

#[cfg(test)]
mod tests;
