//! Group commit: an event goes out at once while few messages are in flight, and otherwise with
//! whatever has gathered meanwhile; each request is answered when its messages are acked.
//!
//! ```text
//! publish ─split─▶ submissions ─queue─▶ lanes, one per subject ─k in flight─▶ message ─PubAck─▶ answer
//! ```

mod committer;
mod config;
mod fault;
mod gate;
mod lanes;
mod message;
mod metrics;
mod split;

use std::sync::Arc;

use eso_relay::Event;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

pub(crate) use self::{
    committer::Committer, config::PublishConfig, gate::Usable, metrics::Metrics,
};
pub(crate) use self::{config::LEAST_MESSAGE_BYTES, split::HEADER_BYTES};
use self::{
    gate::Gate,
    lanes::{Submission, Waiter},
    split::split,
};

/// Why not every event is stored. All but [`PublishError::TooLarge`] are temporary: the sender should try
/// again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PublishError {
    /// More events wait than `publish.queue` allows.
    #[error("too many events wait to be published (setting `publish.queue`)")]
    QueueFull,
    #[error("not connected to NATS (setting `nats.url`)")]
    Disconnected,
    /// Missing, misconfigured, or not looked at yet.
    #[error("the stream ESO_RELAY cannot be used (see the log and `eso-relay status`)")]
    StreamUnusable,
    /// The server is short of storage or overloaded, or the stream is one that refuses when it is full.
    #[error(
        "the stream ESO_RELAY takes nothing now (see the server's disk and `eso-relay status`)"
    )]
    StreamFull,
    /// No PubAck in time. The events may or may not be stored.
    #[error("no PubAck in time (setting `publish.deadline`)")]
    NoAck,
    /// One event alone exceeds the limit of a message.
    #[error("an event is larger than a message may be (setting `publish.max_message_bytes`)")]
    TooLarge,
    /// One event alone exceeds what the server or the stream accepts. The operator can raise that, and another
    /// server of the cluster may accept the event.
    #[error(
        "an event is larger than the server or the stream takes (`max_payload` of the server, `max_msg_size` of the stream ESO_RELAY)"
    )]
    AboveLimits,
}

/// Where events are stored: the message that holds them, which several requests may share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Its `Nats-Msg-Id`.
    pub(crate) message_id: Arc<str>,
    /// In the stream.
    pub(crate) sequence: u64,
}

/// Publishes events durably. Clones share one queue.
#[derive(Clone)]
pub(crate) struct Publisher {
    gate: Arc<Gate>,
    queue: mpsc::UnboundedSender<Submission>,
    deadline: std::time::Duration,
}

type Answer = oneshot::Receiver<Result<Stored, PublishError>>;

/// The two ends of the queue: hand the [`Publisher`] to the handlers and run the [`Committer`].
///
/// `jetstream` must belong to `client`; its own timeout should not be shorter than
/// [`PublishConfig::attempt_timeout`]. While the stream is not `usable` everything is refused.
pub(crate) fn publisher(
    client: async_nats::Client,
    jetstream: async_nats::jetstream::Context,
    usable: Usable,
    config: &PublishConfig,
    metrics: Metrics,
) -> (Publisher, Committer) {
    let gate = Arc::new(Gate::new(client, usable, config, metrics));
    // Bounded by the gate: in events rather than in requests.
    let (queue, submissions) = mpsc::unbounded_channel();
    let publisher = Publisher {
        gate: Arc::clone(&gate),
        queue,
        deadline: config.deadline,
    };
    (
        publisher,
        Committer::new(gate, submissions, jetstream, config),
    )
}

impl Publisher {
    /// Accepts the events when it is called. Its future ends when every one is stored, or with the reason why not:
    /// after `publish.deadline` or at `by`, whichever is earlier. Of several messages the last one is returned;
    /// without events there is none.
    ///
    /// On an error some of the events may be stored nevertheless. Dropping the future does not cancel accepted
    /// events.
    pub(crate) fn publish(
        &self,
        events: &[Event],
        by: Option<Instant>,
    ) -> impl Future<Output = Result<Option<Stored>, PublishError>> + use<> {
        let answers = self.submit(events, by);
        async move {
            let mut last = None;
            for answer in answers? {
                // A dropped answer means that the committer or its task is gone: the outcome is unknown.
                last = Some(answer.await.unwrap_or(Err(PublishError::NoAck))?);
            }
            Ok(last)
        }
    }

    /// All events are accepted, or none.
    fn submit(&self, events: &[Event], by: Option<Instant>) -> Result<Vec<Answer>, PublishError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let now = Instant::now();
        self.gate.open(now)?;
        let parts = split(events, self.gate.limits(), self.gate.most_bytes())?;
        let deadline = now + self.deadline;
        let deadline = by.map_or(deadline, |by| by.min(deadline));
        let mut places = self.gate.reserve(events.len())?;
        let mut answers = Vec::with_capacity(parts.len());
        for part in parts {
            let (done, answer) = oneshot::channel();
            let submission = Submission {
                places: places.take(part.events.len()),
                part,
                waiter: Waiter {
                    accepted: now,
                    deadline,
                    done,
                },
            };
            // An error drops the waiter, and with that answers.
            self.queue.send(submission).ok();
            answers.push(answer);
        }
        Ok(answers)
    }
}

#[cfg(test)]
mod tests;
