//! JetStream: pulls messages, decodes them, stores dead letters, detects gaps.

pub(crate) mod backlog;
pub(crate) mod dead_letter;
mod decode;
pub(crate) mod gap;
mod pull;
pub(crate) mod watch_list;

use std::time::Duration;

use async_nats::{Subject, jetstream};
use bytes::Bytes;
use eso_relay::{
    Event,
    event::encode_batch,
    nats::timestamp,
    stream::{self, position::Gap},
};
use jiff::Timestamp;

pub(crate) use self::{
    decode::decode,
    pull::{Credit, Pull, Pulled},
};
use crate::object::{Kept, Sequence};

/// One message of the events stream, as it was delivered.
///
/// It keeps its body until it is acked, because a dead letter holds the event's own bytes. Reading it from
/// the stream again would need another permission, and would fail just when the stream has a problem. The
/// worker bounds the memory that this takes.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub sequence: Sequence,
    /// How often the server has delivered it, this time included: 1 or more.
    pub attempt: u64,
    /// How many messages of the durable waited behind it.
    pub pending: u64,
    /// How long it had been in the stream.
    pub age: Duration,
    pub reply: Reply,
    pub subject: String,
    pub body: Bytes,
}

/// Where the ack or nak of a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Each delivery of a message has its own ack subject.
    Ack(Subject),
    /// Nowhere: it was acked or terminated before, or is no message of the stream.
    None,
    /// To the gap watcher: the message stands for messages that were removed.
    Gap(Gap),
}

/// A message that no JetStream consumer delivered: its reply subject is not an ack subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a delivery of a JetStream consumer")]
pub(crate) struct NotADelivery;

impl Message {
    /// Copies the body: a slice of the connection's read buffer would keep the whole buffer alive.
    fn new(message: &jetstream::Message) -> Result<Self, NotADelivery> {
        let info = message.info().map_err(|_| NotADelivery)?;
        let (sequence, delivered, pending) = (info.stream_sequence, info.delivered, info.pending);
        let reply = message.reply.as_ref().ok_or(NotADelivery)?;
        Ok(Self {
            sequence,
            attempt: u64::try_from(delivered).unwrap_or(0).max(1),
            pending,
            age: age(timestamp(info.published)),
            reply: Reply::Ack(Subject::from(reply.to_string())),
            subject: message.subject.to_string(),
            body: Bytes::copy_from_slice(&message.payload),
        })
    }

    /// A message with an event of the consumer itself. Its sequence is 0, before every message of the stream,
    /// so any of them supersedes it.
    pub(crate) fn synthetic(event: &Event, reply: Reply) -> Self {
        Self {
            sequence: 0,
            attempt: 1,
            pending: 0,
            age: Duration::ZERO,
            reply,
            subject: stream::Subject::of(event).to_string(),
            body: encode_batch([event]),
        }
    }

    /// What brings it back after a crash.
    pub(crate) fn kept(&self) -> Kept {
        match self.reply {
            Reply::Ack(_) => Kept::Stream,
            Reply::Gap(_) => Kept::Position,
            Reply::None => Kept::Nowhere,
        }
    }

    /// The source that the subject names, if it is one of ours.
    pub(crate) fn source(&self) -> Option<eso_relay::Slug> {
        let subject: stream::Subject = self.subject.parse().ok()?;
        Some(subject.source)
    }
}

/// Compares two clocks: a message from the future has age zero.
#[expect(
    clippy::disallowed_methods,
    reason = "a message's age is measured from now"
)]
fn age(published: Timestamp) -> Duration {
    let age = Timestamp::now().duration_since(published);
    age.try_into().unwrap_or_default()
}
