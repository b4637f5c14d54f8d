//! The result of a refresh.

use std::time::Duration;

/// The result of one patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The object carries the mark.
    Done,
    /// The object does not exist.
    Gone,
    /// Retry later. It does not count as an attempt of the message, whose fault it is not.
    Retry {
        fault: Fault,
        after: Option<Duration>,
        error: String,
    },
    /// Refused: the event becomes a dead letter.
    Refused { error: String },
}

/// Whose fault a failed patch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Probably the API as a whole: unavailable, overloaded, timing out. A webhook that hangs for one namespace
    /// gives the same errors, so a probe decides.
    Cluster,
    /// This object or its admission webhook.
    Object,
    /// The permission to patch the object is missing.
    Permission,
}

impl Outcome {
    /// For a probe: whether the API as a whole has answered.
    pub fn is_answer(&self) -> bool {
        !matches!(
            self,
            Self::Retry {
                fault: Fault::Cluster,
                ..
            }
        )
    }
}

/// How an object is refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// Patch the annotation.
    One,
    /// Reset the status, then patch the annotation; if the reset is refused, the annotation alone.
    Two,
    /// Of KES: reset the status, which alone makes it poll, then patch the annotation, which says for which event.
    Kes,
}

/// The result of the first of two steps, when the second was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reset {
    NotAsked,
    Done,
    /// Mostly for a missing permission. ESO may skip the object.
    Refused {
        error: String,
    },
}

impl Reset {
    pub const ALL: [&str; 2] = ["done", "refused"];

    /// A stable name; `None` if no reset was asked for.
    pub fn as_str(&self) -> Option<&'static str> {
        let [done, refused] = Self::ALL;
        match self {
            Self::NotAsked => None,
            Self::Done => Some(done),
            Self::Refused { .. } => Some(refused),
        }
    }
}
