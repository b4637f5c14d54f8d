//! Kubernetes Events on the objects themselves, for whoever asks `kubectl describe`. Best effort: no
//! ack, no patch and no watch waits for one.
//!
//! An event is a change in a store everywhere else here; so what goes onto an object is a *note*.
//!
//! ```text
//! worker ─try_send─▶ [`Note`] ─▶ [`Notebook`]: is it worth an Event now? ─▶ [`write`]: create
//! ```
//!
//! They are of `events.k8s.io/v1`, the API that new Events are meant for; `v1` shows the same objects,
//! and so does `kubectl describe`, which asks for those with the object's uid. Only `create` is needed:
//! one Event is one fact, and is never counted up, which would need `patch`. Its name says of what
//! object and what fact it is, so a second one, by another replica or after a restart, is there already.

mod event;
mod notebook;
#[cfg(test)]
mod tests;
mod wording;
mod write;

use std::time::Duration;

use eso_relay::{Slug, event::Fingerprint};
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelValue;

pub use self::{
    notebook::Notebook,
    write::{CAPACITY, write},
};
use crate::{
    engine::Step,
    object::{ObjectRef, Uid, Unrefreshable},
};

/// Something that happened to an object, for people. It holds names only.
#[derive(Debug, Clone)]
pub struct Note {
    pub at: Timestamp,
    pub target: ObjectRef,
    /// That of the target.
    pub uid: Uid,
    /// What made it happen.
    pub event: Fingerprint,
    /// Whose event that was; `None` when it is not known any more.
    pub source: Option<Slug>,
    pub what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// ESO has synced the object; so long after the patch.
    Refreshed { after: Duration },
    /// ESO says that it failed; so long after the patch.
    Failed { after: Duration },
    /// ESO has said nothing for so long.
    Silent { after: Duration },
    /// The same, of an object whose status could not be reset: what it needs to be refreshed for certain.
    PassedOver { after: Duration },
    /// The event means it, and it was left alone.
    NotRefreshable(Unrefreshable),
}

impl What {
    /// What is worth a note of what became of an event at a target; `after` is the time since the
    /// patch.
    pub fn of_step(step: Step, after: Duration) -> Option<Self> {
        match step {
            Step::Synced => Some(Self::Refreshed { after }),
            Step::Failed => Some(Self::Failed { after }),
            Step::Silent => Some(Self::Silent { after }),
            Step::Patched
            | Step::Carried
            | Step::Gone
            | Step::Refused
            | Step::GaveUp
            | Step::Superseded => None,
        }
    }

    /// Nobody is told what he chose in words meant for us: that it is to be left alone, by us or by
    /// the ESO that we work for. Nor that a push has its echo.
    pub fn of_skipped(reason: Unrefreshable) -> Option<Self> {
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
            | Unrefreshable::Generator
            | Unrefreshable::PinnedVersion => Some(Self::NotRefreshable(reason)),
        }
    }

    /// Which facts about one object are the same: a stable name for each.
    fn name(self) -> &'static str {
        match self {
            Self::Refreshed { .. } => "refreshed",
            Self::Failed { .. } => "failed",
            Self::Silent { .. } => "silent",
            Self::PassedOver { .. } => "passed_over",
            Self::NotRefreshable(reason) => reason.as_str(),
        }
    }
}

/// What became of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the label's values")]
pub enum Told {
    written,
    /// By another replica, or before a restart.
    already_there,
    /// Left out: the same was told of the object a little while ago.
    repeated,
    /// Left out: there were too many at once.
    limited,
    /// Refused with 403, for want of the permission above all; or not tried again yet after that.
    denied,
    /// The API was away or slow, or refused it in another way.
    failed,
}

impl Told {
    pub(crate) const ALL: [Self; 6] = [
        Self::written,
        Self::already_there,
        Self::repeated,
        Self::limited,
        Self::denied,
        Self::failed,
    ];
}
