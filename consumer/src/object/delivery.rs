//! What is known of a message by all that handle it.

use eso_relay::stream::Reason;

/// A message's sequence in the events stream: the same for each of its deliveries.
pub type Sequence = u64;

/// Who keeps a message until its last word, so that a crash does not lose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The stream: it delivers the message again, if need be much later.
    Stream,
    /// The position of the cluster: a gap is found again.
    Position,
    /// Its last word was said before: it is held for what was learned since.
    Nowhere,
}

/// An event that becomes a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Its place in the message; `None` for the whole message.
    pub index: Option<usize>,
    pub reason: Reason,
    pub error: String,
}
