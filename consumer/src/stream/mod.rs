//! From the stream to events: pulled, then decoded.

pub mod backlog;
pub mod dead_letter;
mod decode;
pub mod gap;
mod pull;

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

pub use self::{
    decode::{Decoded, decode},
    pull::{Credit, Pull, Pulled},
};
use crate::object::{Kept, Sequence};

/// One message of the events stream, as it was delivered.
///
/// It keeps its body until it is acked: a dead letter holds the event as it stood. Reading it from
/// the stream again would need a further permission, and would fail just when the stream is ill;
/// the worker bounds the price.
#[derive(Debug, Clone)]
pub struct Received {
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

/// Where the last word on a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Each delivery of a message has its own ack subject.
    Ack(Subject),
    /// It was said: only what the message means beyond that is still to be done.
    Said,
    /// Nobody delivered it: it stands for messages that are gone.
    Gap(Gap),
}

/// A message that no JetStream consumer delivered: its reply subject is not an ack subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a delivery of a JetStream consumer")]
pub struct NotADelivery;

impl Received {
    /// Copies what it keeps: a part of the connection's read buffer would hold all of that buffer.
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

    /// An event of the consumer's own. It stands before all messages of the stream: whatever comes
    /// takes its place at a target.
    pub fn own(event: &Event, reply: Reply) -> Self {
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

    /// Who keeps it until its last word.
    pub fn kept(&self) -> Kept {
        match self.reply {
            Reply::Ack(_) => Kept::Stream,
            Reply::Gap(_) => Kept::Position,
            Reply::Said => Kept::Nowhere,
        }
    }

    /// The source that the subject names, if it is one of ours.
    pub fn source(&self) -> Option<eso_relay::Slug> {
        let subject: stream::Subject = self.subject.parse().ok()?;
        Some(subject.source)
    }
}

/// By the server's clock and ours: what is of the future has no age.
#[expect(clippy::disallowed_methods, reason = "a message has an age")]
fn age(published: Timestamp) -> Duration {
    let age = Timestamp::now().duration_since(published);
    age.try_into().unwrap_or_default()
}
