//! Batches waiting events into messages, of which a few are in flight at a time.

use std::{pin::pin, sync::Arc, time::Duration};

use anyhow::Context as _;
use async_nats::jetstream;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;

use super::{
    PublishConfig,
    gate::Gate,
    lanes::{Lanes, Submission},
    message::{Ids, Sender},
};

/// How many submissions to take from the queue at once.
const AT_ONCE: usize = 4096;

/// How late a request may be answered whose deadline passes in the queue.
const TICK: Duration = Duration::from_millis(100);

/// The task that publishes.
pub(crate) struct Committer {
    submissions: mpsc::UnboundedReceiver<Submission>,
    /// Empty between two messages; kept for its memory.
    arrived: Vec<Submission>,
    lanes: Lanes,
    gate: Arc<Gate>,
    in_flight: Arc<Semaphore>,
    sender: Arc<Sender>,
    ids: Ids,
}

impl Committer {
    pub(super) fn new(
        gate: Arc<Gate>,
        submissions: mpsc::UnboundedReceiver<Submission>,
        jetstream: jetstream::Context,
        config: &PublishConfig,
    ) -> Self {
        Self {
            submissions,
            arrived: Vec::new(),
            lanes: Lanes::default(),
            gate: Arc::clone(&gate),
            in_flight: Arc::new(Semaphore::new(config.in_flight.get())),
            sender: Arc::new(Sender {
                jetstream,
                gate,
                attempt_timeout: config.attempt_timeout,
            }),
            ids: Ids::new(),
        }
    }

    /// Ends when every [`Publisher`](super::Publisher) is dropped and everything accepted is
    /// answered.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let publishing = TaskTracker::new();
        loop {
            let permit = self.permit().await?;
            if !self.take_waiting().await {
                break;
            }
            let Some(waiting) = self.lanes.gather(self.gate.limits()) else {
                continue;
            };
            let places = waiting.iter().map(|waiting| waiting.places);
            self.gate.release(places.sum());
            let (sender, id) = (Arc::clone(&self.sender), self.ids.next());
            publishing.spawn(async move {
                sender.publish(waiting, id.into()).await;
                drop(permit);
            });
        }
        publishing.close();
        publishing.wait().await;
        Ok(())
    }

    /// A permit for one more message in flight. While none is free, answers the requests whose deadlines pass.
    async fn permit(&mut self) -> anyhow::Result<OwnedSemaphorePermit> {
        let mut permit = pin!(Arc::clone(&self.in_flight).acquire_owned());
        loop {
            if let Ok(permit) = timeout(TICK, &mut permit).await {
                return permit.context("the committer's semaphore is never closed");
            }
            while let Ok(submission) = self.submissions.try_recv() {
                self.lanes.push(submission);
            }
            self.gate.release(self.lanes.expire(Instant::now()));
        }
    }

    /// Takes what waits to be published; waits only if there is nothing. False once every publisher is dropped.
    async fn take_waiting(&mut self) -> bool {
        let arrived = &mut self.arrived;
        if self.lanes.is_empty() && self.submissions.recv_many(arrived, AT_ONCE).await == 0 {
            return false;
        }
        // Lets requests that are ready submit before the message is built; a single one is not delayed.
        tokio::task::yield_now().await;
        while !self.submissions.is_empty() {
            self.submissions.recv_many(arrived, AT_ONCE).await;
        }
        for submission in arrived.drain(..) {
            self.lanes.push(submission);
        }
        true
    }
}
