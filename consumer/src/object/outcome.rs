//! How a request to the API ended.

use std::time::Duration;

/// What became of one patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The object carries the value.
    Done,
    /// There is no such object: it needs nothing.
    Gone,
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
    /// The API as a whole: away, overloaded, timing out. So it seems: a webhook that hangs for one
    /// namespace gives the same answers. [`crate::kubernetes::refresh::Refresher::probe`] tells.
    Cluster,
    /// This object, what admits it, or the permission to patch it.
    Object,
}

impl Outcome {
    /// Of a probe: whether the API as a whole has answered it.
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
    /// By its annotation.
    One,
    /// By a reset of its status, and then by its annotation.
    Two,
}

/// What became of the first of two steps, where the second is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reset {
    NotAsked,
    Done,
    /// Above all for want of the permission. ESO may pass the object over.
    Refused {
        error: String,
    },
}

impl Reset {
    pub const ALL: [&str; 2] = ["done", "refused"];

    /// A stable name, of one that was asked for.
    pub fn as_str(&self) -> Option<&'static str> {
        let [done, refused] = Self::ALL;
        match self {
            Self::NotAsked => None,
            Self::Done => Some(done),
            Self::Refused { .. } => Some(refused),
        }
    }
}
