//! The engine's timers.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    time::Duration,
};

use crate::object::{ObjectRef, Sequence};

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Send a progress ack for the delivery.
    Progress(Sequence),
    /// `give_up_after` is over for the delivery.
    GiveUp(Sequence),
    /// `restart.give_up_after` is over for the delivery.
    NotSynced(Sequence),
    /// Retry to store its dead letters.
    Store(Sequence),
    /// Retry the target.
    Retry(ObjectRef),
    /// The target's second mark is due.
    Settle(ObjectRef),
    /// ESO has not synced the target in time.
    Overdue(ObjectRef),
    /// The workload's restart may be due.
    Restart(ObjectRef),
    /// The workload's rollout does not report its end.
    Rollout(ObjectRef),
    /// The next probe of the API is due.
    Probe,
}

/// Each timer is set at most once.
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
