//! What goes into the engine and what comes out.

use std::{sync::Arc, time::Duration};

use eso_relay::{event::Fingerprint, stream::Reason};

use super::lane::{StoreId, Urgency};
use crate::object::{Kept, ObjectRef, Outcome, RefreshMark, Rejection, Sequence, SyncState};

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
    /// What its events mean: one for each pair of an event and a target.
    pub refreshes: Vec<Refresh>,
    /// Events of it that nobody can handle.
    pub rejected: Vec<Rejection>,
}

/// What one event means for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refresh {
    pub target: ObjectRef,
    pub event: Fingerprint,
    /// The event's place in the message: the later the newer.
    pub index: usize,
    /// How long after the first value there is to be a second one. `None`: there is none.
    pub settle: Option<Duration>,
    pub urgency: Urgency,
    /// What it reads through; empty where stores have no ceiling.
    pub stores: Arc<[StoreId]>,
    /// How many objects ESO syncs for it: an owner's children, else 1.
    pub weight: usize,
    /// What the object carries now, as far as the watch knows: what it says of `event` is done.
    pub carries: Option<RefreshMark>,
    /// Whether ESO has synced the object as it is now.
    pub sync: SyncState,
}

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    Delivery(Delivery),
    /// Of the messages that waited behind the last delivery none is left: another replica took them.
    CaughtUp,
    /// The watch was late: a message that was taken already, and may be done with since, means these
    /// targets too.
    Late(Delivery),
    /// The value of a message that was taken was lost before ESO looked, and is to be written again. What
    /// becomes of its events is told already, or will be when ESO has synced.
    Rewrite(Delivery),
    /// Decoding or matching the message panicked.
    Panicked {
        sequence: Sequence,
        attempt: u64,
    },
    /// A patch that was asked for has ended. Every [`Output::Patch`] needs one: until then its target
    /// gets no other.
    Patched {
        target: ObjectRef,
        value: RefreshMark,
        outcome: Outcome,
    },
    /// The watch says what the object carries now.
    Observed {
        target: ObjectRef,
        value: Option<RefreshMark>,
        sync: SyncState,
    },
    /// The watch says that the object is gone: what rests because of a fault of its own is tried
    /// now, and the API's "not found" ends it.
    Deleted(ObjectRef),
    /// The dead letters of a delivery are stored, or could not be.
    DeadLettered {
        sequence: Sequence,
        stored: bool,
    },
    /// A probe has ended, by an answer of the API as a whole or without.
    Probed {
        answered: bool,
    },
    /// Time has passed.
    Tick,
    /// Start nothing new; hand back what was not started, and what waits for its second value.
    Stop,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// Write the value; the answer is [`Input::Patched`], also when the patch times out or panics.
    Patch {
        target: ObjectRef,
        value: RefreshMark,
    },
    /// Ask the API something that depends on no object; the answer is [`Input::Probed`].
    Probe,
    /// Every target of the delivery is done.
    Ack(Sequence),
    /// Deliver again: at once, or after the delay.
    Nak {
        sequence: Sequence,
        delay: Option<Duration>,
    },
    /// Deliver again after the delay, unless it is acked before. The engine keeps what it waits for,
    /// and needs the body no more.
    Park { sequence: Sequence, delay: Duration },
    /// Deliver what is parked at once: its body is needed.
    Recall(Sequence),
    /// Store these; the answer is [`Input::DeadLettered`].
    DeadLetter {
        sequence: Sequence,
        attempt: u64,
        rejections: Vec<Rejection>,
    },
    /// The dead letters are stored: never deliver again.
    Term { sequence: Sequence, reason: Reason },
    /// Still at work: do not deliver again yet.
    Progress(Sequence),
    /// What has become of an event at one of its targets, for people: nothing waits for it.
    Step {
        event: Fingerprint,
        target: ObjectRef,
        step: Step,
        /// Since the patch; zero before it.
        after: Duration,
    },
}

/// What becomes of an event at a target. Each has one of the first group, and after
/// [`Self::Patched`] and [`Self::Carried`] one of the second, unless the process ends before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Its value, or that of a newer event, was written.
    Patched,
    /// The object carries it already, by another replica or before a redelivery.
    Carried,
    /// There is no such object any more, or it cannot be refreshed any more.
    Gone,
    /// The API refused the patch for good.
    Refused,
    /// The cluster could not take it for as long as `give_up_after`.
    GaveUp,
    /// A newer event answers for it, and it is not kept in mind what becomes of that one.
    Superseded,

    /// ESO has synced the object since.
    Synced,
    /// ESO says that it failed.
    Failed,
    /// ESO has said nothing in the time that it had: it passes the object over, is away, or has
    /// too much to do.
    Silent,
}
