//! Kubernetes Events on the objects, which `kubectl describe` shows. Best effort: no ack, no patch and no
//! watch waits for one.
//!
//! Everywhere else an event is a change in a store; so what becomes a Kubernetes Event is a *note* here.
//!
//! ```text
//! worker ─try_send─▶ [`Note`] ─▶ [`NoteLimiter`]: is it due? ─▶ [`write`]: create
//! ```
//!
//! They are written through `events.k8s.io/v1`; `v1` serves the same objects, and `kubectl describe` selects
//! them by the object's uid. They need the verb `create` only: one Event is one fact, whose count is never
//! raised, which would need `patch`. The name of an Event is made of the object and the fact, so that another
//! replica, or the same one after a restart, finds that it exists.

mod event;
mod limiter;
#[cfg(test)]
mod tests;
mod write;

use std::time::Duration;

use eso_relay::{Slug, event::Fingerprint};
use jiff::Timestamp;

pub(crate) use self::{
    limiter::NoteLimiter,
    write::{CAPACITY, write},
};
use crate::{
    engine::{NotRestarted, Step},
    object::{ObjectRef, Uid, Unrefreshable},
};

/// A fact about an object, to be shown to people. It holds names only.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub at: Timestamp,
    pub target: ObjectRef,
    /// The uid of the target.
    pub uid: Uid,
    /// Fact made it happen.
    pub event: Fingerprint,
    /// The source of the event; `None` when it is not known any more.
    pub source: Option<Slug>,
    pub fact: Fact,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    /// ESO has synced the object, so long after the patch.
    Refreshed { after: Duration },
    /// ESO has failed to sync it, so long after the patch.
    Failed { after: Duration },
    /// ESO has not updated the status since the patch.
    Silent { after: Duration },
    /// The same, for an object that needs a reset of its status, which was refused.
    PassedOver { after: Duration },
    /// The workload was restarted, so long after the sync.
    Restarted { after: Duration },
    /// The workload is not restarted for the event.
    RestartSkipped(NotRestarted),
    /// The workload was restarted and does not become ready.
    RolloutFailed { after: Duration },
    /// The event matched it, and it was skipped.
    NotRefreshable(Unrefreshable),
}

impl Fact {
    /// The steps that are noted on the object; `after` is the time since the patch.
    pub(crate) fn of_step(step: Step, after: Duration) -> Option<Self> {
        match step {
            Step::Synced => Some(Self::Refreshed { after }),
            Step::Failed => Some(Self::Failed { after }),
            Step::Silent => Some(Self::Silent { after }),
            Step::Patched
            | Step::Carried
            | Step::Gone
            | Step::Refused
            | Step::GaveUp
            | Step::Superseded
            | Step::NotRestarted(NotRestarted::Superseded | NotRestarted::Gone) => None,
            Step::Restarted => Some(Self::Restarted { after }),
            Step::NotRestarted(why) => Some(Self::RestartSkipped(why)),
        }
    }

    /// No note for a state that the user configured for eso-relay or for the controller class, nor for the
    /// echo of a push.
    pub(crate) fn of_skipped(reason: Unrefreshable) -> Option<Self> {
        match reason {
            Unrefreshable::Deleting
            | Unrefreshable::Ignored
            | Unrefreshable::NotSelected
            | Unrefreshable::ForeignController
            | Unrefreshable::PushEcho => None,
            Unrefreshable::CreatedOnce
            | Unrefreshable::IntervalZero
            | Unrefreshable::Immutable
            | Unrefreshable::StoreDeniesNamespace
            | Unrefreshable::NotPermitted
            | Unrefreshable::Generator
            | Unrefreshable::FindNotSupported
            | Unrefreshable::PinnedVersion => Some(Self::NotRefreshable(reason)),
        }
    }

    /// A stable name: facts of one name are the same fact.
    fn name(self) -> &'static str {
        match self {
            Self::Refreshed { .. } => "refreshed",
            Self::Failed { .. } => "failed",
            Self::Silent { .. } => "silent",
            Self::PassedOver { .. } => "passed_over",
            Self::Restarted { .. } => "restarted",
            Self::RestartSkipped(_) => "restart_skipped",
            Self::RolloutFailed { .. } => "rollout_failed",
            Self::NotRefreshable(reason) => reason.as_str(),
        }
    }
}
