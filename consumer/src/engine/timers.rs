//! What is due when.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    time::Duration,
};

use crate::object::{ObjectRef, Sequence};

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Tell the server that the delivery is still at work.
    Progress(Sequence),
    /// The delivery has been held for too long.
    GiveUp(Sequence),
    /// Its dead letters, which could not be stored, may be tried again.
    Store(Sequence),
    /// The target may be tried again.
    Retry(ObjectRef),
    /// The target's second value may be written.
    Settle(ObjectRef),
    /// ESO has had its time for the target.
    Overdue(ObjectRef),
    /// The API, which is away, may be asked again.
    Probe,
}

/// At most one time for each timer.
#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(Duration, Timer)>,
    at: HashMap<Timer, Duration>,
}

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Duration) {
        self.cancel(&timer);
        self.order.insert((at, timer.clone()));
        self.at.insert(timer, at);
    }

    pub(super) fn cancel(&mut self, timer: &Timer) {
        if let Some((timer, at)) = self.at.remove_entry(timer) {
            self.order.remove(&(at, timer));
        }
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.order.first().map(|(at, _)| *at)
    }

    pub(super) fn pop_due(&mut self, now: Duration) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = self.order.pop_first()?;
        self.at.remove(&timer);
        Some(timer)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}
