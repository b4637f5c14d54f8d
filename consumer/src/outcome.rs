//! What is retried and what is final: the only table of it.

use std::time::Duration;

/// What became of one patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The object carries the value, or is gone and needs nothing.
    Done,
    /// Not now. Uses up no attempt of the event: it is not the event's fault.
    Retry {
        fault: Fault,
        after: Option<Duration>,
        error: String,
    },
    /// Refused for good: the event becomes a dead letter.
    Refused { error: String },
}

/// Whose fault a failed patch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The API as a whole: away, overloaded, timing out.
    Cluster,
    /// This object or the permission to patch it.
    Target,
}
