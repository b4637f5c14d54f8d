//! The inputs and outputs of the engine.

use std::{sync::Arc, time::Duration};

use eso_relay::{event::Fingerprint, stream::Reason};

use super::lane::{StoreId, Urgency};
use crate::object::{
    Kept, ObjectRef, Outcome, RefreshMark, Rejection, Sequence, SyncState, WorkloadState,
};

/// A message, decoded and matched. Every later redelivery has the same sequence.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub sequence: Sequence,
    /// How often the server has delivered it, this time included: 1 or more.
    pub attempt: u64,
    /// How many messages waited behind it when it was delivered.
    pub pending: u64,
    /// How long it had been in the stream when it was delivered.
    pub age: Duration,
    pub kept: Kept,
    /// One for each pair of an event and a target.
    pub refreshes: Vec<Refresh>,
    /// One for each pair of an event and a workload that must see the new value.
    pub restarts: Vec<Restart>,
    /// Events that could not be decoded.
    pub rejected: Vec<Rejection>,
}

/// The refresh of one target for one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refresh {
    pub target: ObjectRef,
    pub event: Fingerprint,
    /// The event's index in the message: the greater the newer.
    pub index: usize,
    /// How long after the first mark a second one is written; `None`: never.
    pub settle: Option<Duration>,
    pub urgency: Urgency,
    /// The stores that it reads through; empty where stores have no rate limit.
    pub stores: Arc<[StoreId]>,
    /// How many objects ESO syncs for it: an owner's children, else 1.
    pub weight: usize,
    /// The mark that the watch has shown last: what it says about `event` is done.
    pub carries: Option<RefreshMark>,
    /// Whether ESO has synced the object as it is now.
    pub sync: SyncState,
}

/// The restart of one workload for one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restart {
    pub workload: ObjectRef,
    pub event: Fingerprint,
    /// The event's index in the message: the greater the newer.
    pub index: usize,
    /// The targets of this delivery, by which ESO writes the Secrets that the workload reads: it is restarted once
    /// ESO has synced all of them. Empty for a workload that reads the store itself.
    pub follows: Vec<ObjectRef>,
    /// How long the store may return the old value to a workload that reads it itself.
    pub settle: Option<Duration>,
    /// As the watch has shown it last.
    pub state: WorkloadState,
}

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    Delivery(Delivery),
    /// Another replica took the messages that waited behind the last delivery.
    CaughtUp,
    /// The watch was late: a message that was accepted before, and may be concluded, matches these targets too.
    Late(Delivery),
    /// The mark of an accepted message was removed before ESO looked: write it again. The steps of its events
    /// are reported already, or will be when ESO has synced.
    Rewrite(Delivery),
    /// Decoding or matching the message panicked.
    Panicked {
        sequence: Sequence,
        attempt: u64,
    },
    /// The result of an [`Output::Patch`]. Each needs one: until then its target gets no other patch.
    Patched {
        target: ObjectRef,
        value: RefreshMark,
        outcome: Outcome,
    },
    /// The watch has shown the object.
    Observed {
        target: ObjectRef,
        value: Option<RefreshMark>,
        sync: SyncState,
    },
    /// The watch has shown that the object is gone. A target that backs off after a fault of its own is retried
    /// now, and the API's "not found" ends it.
    Deleted(ObjectRef),
    /// The result of an [`Output::DeadLetter`].
    DeadLettered {
        sequence: Sequence,
        stored: bool,
    },
    /// The result of an [`Output::Probe`].
    Probed {
        answered: bool,
    },
    /// The watch has shown a workload; `None`: it is gone, or is not to be restarted any more.
    Workload {
        workload: ObjectRef,
        state: Option<WorkloadState>,
    },
    /// The result of an [`Output::Restart`]. Each needs one.
    Restarted {
        workload: ObjectRef,
        outcome: Outcome,
    },
    /// Time has passed.
    Tick,
    /// Start nothing new; hand back what was not started, and what waits for its second mark.
    Stop,
}

/// What the worker must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// Write the mark; the result is [`Input::Patched`], also when the patch times out or panics.
    Patch {
        target: ObjectRef,
        value: RefreshMark,
    },
    /// Restart the workload for these events, the newest last, over this state of it; the result is
    /// [`Input::Restarted`]. If the object has changed since, the outcome is a [`Outcome::Retry`] of the object.
    Restart {
        workload: ObjectRef,
        events: Vec<Fingerprint>,
        over: WorkloadState,
    },
    /// A rollout that was started here has ended. Only for reports.
    Rollout {
        workload: ObjectRef,
        /// The events that the workload was restarted for, the newest last.
        events: Vec<Fingerprint>,
        result: RolloutResult,
        /// Since the restart.
        after: Duration,
    },
    /// Send the API a request that depends on no object; the result is [`Input::Probed`].
    Probe,
    /// Every target of the delivery is done.
    Ack(Sequence),
    /// Redeliver, at once or after the delay.
    Nak {
        sequence: Sequence,
        delay: Option<Duration>,
    },
    /// Redeliver after the delay, unless it is acked before. The engine keeps its targets; the body may be
    /// dropped.
    Park { sequence: Sequence, delay: Duration },
    /// Redeliver a parked message at once: its body is needed.
    Recall(Sequence),
    /// Store these; the result is [`Input::DeadLettered`].
    DeadLetter {
        sequence: Sequence,
        attempt: u64,
        rejections: Vec<Rejection>,
    },
    /// The dead letters are stored: never redeliver.
    Term { sequence: Sequence, reason: Reason },
    /// Still in progress: do not redeliver yet.
    Progress(Sequence),
    /// An event has reached a step at one of its targets or workloads. Only for reports.
    Step {
        event: Fingerprint,
        target: ObjectRef,
        step: Step,
        /// Since the patch, and of a restart since the sync that it follows; zero before it.
        after: Duration,
    },
}

/// The steps of an event at a target. Each pair has one of the first group, and after [`Self::Patched`] and
/// [`Self::Carried`] one of the second, unless the process ends before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Its mark, or that of a newer event, was written.
    Patched,
    /// The object carries the mark already, from another replica or from before a redelivery.
    Carried,
    /// The object does not exist any more, or cannot be refreshed any more.
    Gone,
    /// The API refused the patch.
    Refused,
    /// The cluster could not be patched within `give_up_after`.
    GaveUp,
    /// A newer event answers for it, whose steps are not tracked for it.
    Superseded,

    /// ESO has synced the object since.
    Synced,
    /// ESO says that it failed.
    Failed,
    /// ESO has not updated the status in time: it skips the object, is not running, or is overloaded.
    Silent,

    /// The workload was restarted for it, here or by another replica.
    Restarted,
    /// The workload is not restarted for it.
    NotRestarted(NotRestarted),
}

/// Why a workload is not restarted for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum NotRestarted {
    /// The workload, or what ESO would have synced for it, does not exist any more or is excluded now.
    Gone,
    /// ESO has synced and written no Secret, as the store has no value: its pods would not start.
    NoSecret,
    /// The API refused the patch of the workload, or of what ESO would have synced for it.
    Refused,
    /// The permission to patch workloads is missing.
    Forbidden,
    /// ESO did not sync in time, so the workload would have read the old value again.
    NotSynced,
    /// The cluster could not be patched within `give_up_after`.
    GaveUp,
    /// Another workload that was restarted for the same event does not become ready.
    RolloutFailed,
    /// A newer event restarts it instead.
    Superseded,
}

impl NotRestarted {
    /// A stable name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::NoSecret => "no_secret",
            Self::Refused => "refused",
            Self::Forbidden => "forbidden",
            Self::NotSynced => "not_synced",
            Self::GaveUp => "gave_up",
            Self::RolloutFailed => "rollout_failed",
            Self::Superseded => "superseded",
        }
    }
}

/// How a rollout has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RolloutResult {
    Done,
    /// Its deadline is exceeded: the other workloads that wait for the same events are not restarted.
    Failed,
}
