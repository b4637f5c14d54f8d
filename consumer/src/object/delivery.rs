//! The types of a message that all parts share.

use eso_relay::stream::Reason;

/// A message's sequence in the events stream: the same for each of its deliveries.
pub type Sequence = u64;

/// What brings a message back after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The stream redelivers it.
    Stream,
    /// The gap is found again in the position of the cluster.
    Position,
    /// Nothing: it was acked or terminated before, and is held for a late match.
    Nowhere,
}

/// An event that becomes a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Its index in the message; `None` for the whole message.
    pub index: Option<usize>,
    pub reason: Reason,
    pub error: String,
}
