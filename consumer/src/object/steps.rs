//! One step or two: the ways of a refresh ([`crate::kubernetes::refresh`]).

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
