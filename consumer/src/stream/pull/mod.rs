//! The pull loop: asks the durable for as many messages as there is room for, and hands them on.
//!
//! It is our own, over a plain subscription, because the client's streams stall with small batches,
//! lose deliveries after idle heartbeats, and do not ask again after a server's restart.

use std::{
    mem,
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

use super::Received;
use crate::stream::gap::Looked;

/// The most messages of one request, and about the most bytes: they come at once, whether there is
/// room or not.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;
/// How long the server keeps a request that it cannot fill. Short, because a stop waits for it.
const EXPIRES: Duration = Duration::from_secs(2);
/// A waiting request gives a sign of life this often; the server wants at most half of [`EXPIRES`].
/// It is also how soon a replica notices that another one took the rest of a backlog.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// Without a word for so long, the request is lost.
const SILENCE: Duration = Duration::from_secs(2);
/// How often a lost connection, which the client mends by itself, is looked for.
const LOOK: Duration = Duration::from_millis(100);
/// How long a look may take before it is said that it is waited for.
const LOOKED: Duration = Duration::from_secs(5);
/// How often a durable that is not there is looked for, and how often that is said.
const VERIFY: Duration = Duration::from_millis(500);
const REMIND: Duration = Duration::from_secs(10);

/// How many messages the worker has taken so far, plus how many more it has room for. As a sum, it
/// stays right whatever is on its way between the two tasks.
pub type Credit = u64;

/// What the pull loop hands on, in this order.
#[derive(Debug)]
pub enum Pulled {
    Message(Received),
    /// More waited behind the last message, and now nothing does, for this replica: another one took it.
    CaughtUp,
}

/// Pulls from the durable of one cluster until `stop`. Everything that the server has delivered is
/// handed on, so that the worker can hand back what it does not start.
pub struct Pull {
    pub client: Client,
    pub jetstream: Context,
    pub cluster: Slug,
    /// Met while the durable is there and as it must be.
    pub condition: Condition,
    pub credit: watch::Receiver<Credit>,
    pub messages: mpsc::Sender<Pulled>,
    pub lost: Counter,
    /// Whether anything may be pulled yet.
    pub looked: watch::Receiver<Looked>,
    pub stop: CancellationToken,
}

/// What has come so far.
struct Tally {
    handed_on: Credit,
    /// More waited behind the last message.
    behind: bool,
    /// Bytes of a message, as they have been lately.
    size: usize,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            handed_on: 0,
            behind: false,
            // Large until they have shown what they are.
            size: BATCH_BYTES / 64,
        }
    }
}

impl Tally {
    fn saw(&mut self, bytes: usize) {
        self.size = (7 * self.size + bytes) / 8;
    }

    /// The most messages of the next request.
    fn batch(&self) -> usize {
        (BATCH_BYTES / self.size.max(1)).clamp(1, BATCH)
    }
}

/// Why a request's outcome is not known; the next one goes to an inbox of its own.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("reconnected")]
    Reconnected,
    #[error("no word from the server for {SILENCE:?}")]
    Silent,
    #[error("the server answered {status} {description}")]
    Refused { status: u16, description: String },
    #[error("the connection is closed")]
    Closed,
}

impl Pull {
    /// Ends when `stop` is cancelled or nobody takes the messages any more.
    pub async fn run(self) -> anyhow::Result<()> {
        let stop = self.stop.clone();
        let mut tally = Tally::default();
        while let Some((durable, connection)) = stop.run_until_cancelled(self.durable()).await {
            match self.pull(&durable, connection, &mut tally).await {
                Ok(()) => break,
                Err(Broken::Reconnected) => {
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

    /// Waits until there is a durable to pull from, and it is known what was missed before this
    /// connection.
    async fn durable(&self) -> (PullConsumer, u64) {
        let mut reminded: Option<Instant> = None;
        loop {
            let found = match nats::connected(&self.client).await {
                Ok(()) => verify::durable(&self.jetstream, &self.cluster)
                    .await
                    .map_err(anyhow::Error::from),
                Err(error) => Err(error),
            };
            let connection = self.connection();
            let found = match found {
                Ok(durable) => self.looked(connection).await.map(|()| durable),
                Err(problem) => Err(problem),
            };
            match found {
                Ok(durable) => {
                    self.condition.met();
                    return (durable, connection);
                }
                Err(problem) => {
                    if reminded.is_none_or(|reminded| reminded.elapsed() >= REMIND) {
                        warn!(problem = format!("{problem:#}"), "cannot pull yet; waiting");
                        reminded = Some(Instant::now());
                    }
                    self.condition.unmet(problem.to_string());
                }
            }
            sleep(VERIFY).await;
        }
    }

    /// Whether it is known what was missed before this connection. A look takes a moment, and nothing
    /// is wrong until it has failed.
    async fn looked(&self, connection: u64) -> anyhow::Result<()> {
        let mut looked = self.looked.clone();
        let known = looked.wait_for(|looked| match looked {
            Looked::NotYet => false,
            Looked::Failed { .. } => true,
            // A later one shows before the first request.
            Looked::On(on) => *on >= connection,
        });
        match timeout(LOOKED, known).await {
            Ok(Ok(looked)) => match &*looked {
                Looked::Failed { why } => Err(anyhow!("{why}")),
                Looked::NotYet | Looked::On(_) => Ok(()),
            },
            Ok(Err(_)) | Err(_) => Err(anyhow!("not known yet whether events were missed")),
        }
    }

    /// One request after the other, on one inbox, for as long as all is well.
    async fn pull(
        &self,
        durable: &PullConsumer,
        connection: u64,
        tally: &mut Tally,
    ) -> Result<(), Broken> {
        let inbox = self.client.new_inbox();
        let subscription = self.client.subscribe(inbox.clone()).await;
        let mut subscription = subscription.map_err(|_| Broken::Closed)?;
        let end = loop {
            let Some(room) = self.room(tally.handed_on).await else {
                break Ok(());
            };
            if self.connection() != connection {
                break Err(Broken::Reconnected);
            }
            let request = request(durable, room.min(tally.batch()));
            let batch = request.batch;
            if durable
                .request_batch(request, inbox.clone().into())
                .await
                .is_err()
            {
                break Err(Broken::Closed);
            }
            // Also when stopping: the client forgets a subscription before the server does, so
            // the only way to lose nothing is to read on until the request has ended.
            let received = self.receive(&mut subscription, batch, connection, tally);
            if let Err(broken) = received.await {
                break Err(broken);
            }
        };
        self.read_the_rest(subscription, tally).await;
        end
    }

    /// Waits for room; `None` when it is time to stop.
    async fn room(&self, handed_on: Credit) -> Option<usize> {
        let mut credit = self.credit.clone();
        let room = credit.wait_for(|credit| *credit > handed_on);
        let room = self.stop.run_until_cancelled(room).await?;
        // An error means that the worker has ended.
        let room = room.ok()?.saturating_sub(handed_on);
        (!self.stop.is_cancelled()).then(|| usize::try_from(room).unwrap_or(usize::MAX))
    }

    /// Until the request has ended, by its last message or by a status.
    async fn receive(
        &self,
        subscription: &mut Subscriber,
        batch: usize,
        connection: u64,
        tally: &mut Tally,
    ) -> Result<(), Broken> {
        let mut missing = batch;
        let mut last_word = Instant::now();
        let mut look = interval(LOOK);
        while missing > 0 {
            let message = tokio::select! {
                message = subscription.next() => message.ok_or(Broken::Closed)?,
                _ = look.tick() => {
                    if self.connection() != connection {
                        return Err(Broken::Reconnected);
                    }
                    if last_word.elapsed() > SILENCE {
                        return Err(Broken::Silent);
                    }
                    continue;
                }
            };
            last_word = Instant::now();
            match message.status.map(|status| status.as_u16()) {
                None => {
                    missing -= 1;
                    self.hand_on(message, tally).await?;
                }
                // An idle heartbeat.
                Some(100) => self.caught_up(tally).await?,
                // No messages, or none for the rest of the request's time.
                Some(404 | 408) => return self.caught_up(tally).await,
                Some(status) => {
                    return Err(Broken::Refused {
                        status,
                        description: message.description.unwrap_or_default(),
                    });
                }
            }
        }
        Ok(())
    }

    /// What had arrived before the inbox was given up.
    async fn read_the_rest(&self, mut subscription: Subscriber, tally: &mut Tally) {
        subscription.drain().await.ok();
        while let Ok(Some(message)) = timeout(LOOK, subscription.next()).await {
            if message.status.is_none() && self.hand_on(message, tally).await.is_err() {
                return;
            }
        }
    }

    async fn hand_on(&self, message: async_nats::Message, tally: &mut Tally) -> Result<(), Broken> {
        tally.saw(message.payload.len());
        let context = self.jetstream.clone();
        match Received::new(&jetstream::Message { message, context }) {
            Ok(received) => {
                tally.behind = received.pending > 0;
                let taken = self.messages.send(Pulled::Message(received)).await;
                tally.handed_on += 1;
                taken.map_err(|_| Broken::Closed)
            }
            Err(error) => {
                debug!(%error, "ignored a message");
                Ok(())
            }
        }
    }

    /// The server has nothing for an open request.
    async fn caught_up(&self, tally: &mut Tally) -> Result<(), Broken> {
        if !mem::take(&mut tally.behind) {
            return Ok(());
        }
        let taken = self.messages.send(Pulled::CaughtUp).await;
        taken.map_err(|_| Broken::Closed)
    }

    fn connection(&self) -> u64 {
        nats::connection(&self.client)
    }
}

/// An operator may have limited the durable's requests.
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
