//! Deliveries come in.

use std::{collections::BTreeMap, mem, time::Duration};

use eso_relay::stream::Reason;

use super::{
    Delivery, Engine, Output,
    backoff::REDELIVERY,
    held::{InProgress, Reporting, Request},
    timers::Timer,
};
use crate::object::{Kept, ObjectRef, RefreshMark, Rejection, Sequence, SyncState};

/// An event that is older than `give_up_after` when it comes has so long still: after an absence, the
/// cluster may take a moment.
const GRACE: Duration = Duration::from_secs(3600);

impl Engine {
    pub(super) fn accept(&mut self, now: Duration, delivery: Delivery) {
        let pending = delivery.pending;
        self.hold(now, delivery, Reporting::Pending);
        self.backlog_delay.delivered(now, pending, self.room() == 0);
    }

    fn hold(&mut self, now: Duration, delivery: Delivery, reporting: Reporting) {
        let sequence = delivery.sequence;
        if self.redelivered(now, sequence, delivery.attempt) {
            return;
        }
        if self.stopping {
            return self.nak(sequence, None);
        }
        self.expect_progress(now, sequence);
        let give_up_after = self.settings.give_up_after;
        let due = now.saturating_add(give_up_after.saturating_sub(delivery.age));
        let grace = now.saturating_add(give_up_after.min(GRACE));
        self.timers.set(Timer::GiveUp(sequence), due.max(grace));
        let carried = carried(&delivery);
        let mut held = InProgress::new(delivery, due, reporting);
        let open = mem::take(&mut held.open);
        self.in_progress.insert(sequence, held);
        self.want(now, sequence, open, carried);
    }

    /// Where the message is held, what is new is done with the rest of it; else it is held once more,
    /// unless its dead letter stands for all that it means.
    pub(super) fn accept_late(
        &mut self,
        now: Duration,
        mut delivery: Delivery,
        reporting: Reporting,
    ) {
        let sequence = delivery.sequence;
        if self.in_progress.contains_key(&sequence) {
            let carried = carried(&delivery);
            let InProgress { open, .. } = InProgress::new(delivery, now, reporting);
            self.want(now, sequence, open, carried);
        } else if !self.is_dead_lettering(sequence) {
            delivery.kept = Kept::Nowhere;
            self.hold(now, delivery, reporting);
        }
    }

    /// What a message that is held means, and what of it the objects carry already.
    fn want(
        &mut self,
        now: Duration,
        sequence: Sequence,
        mut open: BTreeMap<ObjectRef, Request>,
        carried: Vec<(ObjectRef, RefreshMark, SyncState)>,
    ) {
        let Some(held) = self.in_progress.get_mut(&sequence) else {
            return;
        };
        open.retain(|target, _| !held.open.contains_key(target));
        let targets: Vec<_> = open.keys().cloned().collect();
        held.open.append(&mut open);
        self.wait_for(now, sequence, &targets);
        for target in &targets {
            self.arrange(now, target);
        }
        for (target, value, sync) in carried {
            if targets.contains(&target) {
                self.observed(now, &target, Some(value), sync);
            }
        }
        self.try_complete(now, sequence);
    }

    /// Decoding or matching it panicked: another time it may go well, say on another version.
    pub(super) fn panicked(&mut self, now: Duration, sequence: Sequence, attempt: u64) {
        if self.redelivered(now, sequence, attempt) {
            return;
        }
        if self.stopping {
            self.nak(sequence, None);
        } else if attempt > self.settings.max_attempts {
            self.expect_progress(now, sequence);
            let whole_message = Rejection {
                index: None,
                reason: Reason::TooManyAttempts,
                error: format!("delivered {attempt} times: handling it panicked"),
            };
            let rejections = BTreeMap::from([(None, whole_message)]);
            self.store(sequence, attempt, Kept::Stream, rejections);
        } else {
            let delay = REDELIVERY.delay(attempt, &mut self.rng);
            self.nak(sequence, Some(delay));
        }
    }

    /// A message that is held already came once more: its work goes on as it is.
    fn redelivered(&mut self, now: Duration, sequence: Sequence, attempt: u64) -> bool {
        let held = match (
            self.in_progress.get_mut(&sequence),
            self.dead_lettering.get_mut(&sequence),
        ) {
            (Some(in_progress), _) => &mut in_progress.attempt,
            (None, Some(dead_lettering)) => {
                if dead_lettering.kept == Kept::Nowhere {
                    dead_lettering.kept = Kept::Stream;
                }
                &mut dead_lettering.attempt
            }
            (None, None) => return false,
        };
        *held = attempt;
        self.expect_progress(now, sequence);
        self.unpark(sequence);
        self.mark_durable(now, sequence);
        self.try_complete(now, sequence);
        true
    }

    /// From now on the server waits for a sign of life.
    pub(super) fn expect_progress(&mut self, now: Duration, sequence: Sequence) {
        // Never at once again, whatever the setting: the timers would never come to an end.
        let every = self.settings.progress_every.max(Duration::from_millis(1));
        let at = now.saturating_add(every);
        self.timers.set(Timer::Progress(sequence), at);
    }

    pub(super) fn nak(&mut self, sequence: Sequence, delay: Option<Duration>) {
        self.outputs.push_back(Output::Nak { sequence, delay });
    }
}

/// Which of its events the objects carry already: those are not written again.
fn carried(delivery: &Delivery) -> Vec<(ObjectRef, RefreshMark, SyncState)> {
    let refreshes = delivery.refreshes.iter();
    refreshes
        .filter_map(|refresh| {
            let value = refresh.carries?;
            (value.event == refresh.event).then(|| (refresh.target.clone(), value, refresh.sync))
        })
        .collect()
}
