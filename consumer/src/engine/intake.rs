//! Deliveries come in.

use std::{collections::BTreeMap, mem, sync::Arc, time::Duration};

use eso_relay::stream::Reason;

use super::{
    Delivery, Engine, Output, Rejection, Sequence,
    backoff::REDELIVERY,
    held::{Want, Working},
    timers::Timer,
    wish::Wish,
    work::{Phase, Work},
};
use crate::{sync::SyncState, target::Target, value::Value};

impl Engine {
    pub(super) fn take(&mut self, now: Duration, delivery: Delivery) {
        let pending = delivery.pending;
        self.hold(now, delivery);
        self.gather.delivered(now, pending, self.room() == 0);
    }

    fn hold(&mut self, now: Duration, delivery: Delivery) {
        let (sequence, attempt) = (delivery.sequence, delivery.attempt);
        if self.redelivered(now, sequence, attempt) {
            return;
        }
        if self.stopping {
            return self.nak(sequence, None);
        }
        self.expect_progress(now, sequence);
        if attempt > self.settings.max_attempts {
            return self.give_up_unseen(sequence, attempt, "it never came to an end");
        }
        let give_up_at = now.saturating_add(self.settings.give_up_after);
        self.timers.set(Timer::GiveUp(sequence), give_up_at);
        let carried = carried(&delivery);
        let mut held = Working::new(delivery);
        let open = mem::take(&mut held.open);
        self.working.insert(sequence, held);
        self.want(now, sequence, open, carried);
    }

    /// Where the message is held, what is new is done with the rest of it; else it is held once more,
    /// unless its dead letter stands for all that it means.
    pub(super) fn take_late(&mut self, now: Duration, delivery: Delivery) {
        let sequence = delivery.sequence;
        if self.working.contains_key(&sequence) {
            let carried = carried(&delivery);
            let Working { open, .. } = Working::new(delivery);
            self.want(now, sequence, open, carried);
        } else if !self.is_storing(sequence) && delivery.attempt <= self.settings.max_attempts {
            self.hold(now, delivery);
        }
    }

    /// What a message that is held means, and what of it the objects carry already.
    fn want(
        &mut self,
        now: Duration,
        sequence: Sequence,
        mut open: BTreeMap<Target, Want>,
        carried: Vec<(Target, Value, SyncState)>,
    ) {
        let Some(held) = self.working.get_mut(&sequence) else {
            return;
        };
        open.retain(|target, _| !held.open.contains_key(target));
        let targets: Vec<_> = open.keys().cloned().collect();
        for (target, want) in &open {
            let wish = Wish::new(want.event, want.settle, want.urgency.clone());
            let work = self.targets.entry(target.clone());
            let work = work.or_insert_with(|| Work::new(Arc::clone(&want.stores), want.sync));
            work.weight = want.weight;
            let was = work.urgency();
            work.waiting.insert(want.version(sequence), wish);
            let hurries = was < work.urgency();
            if let (Phase::Ready(ticket), true) = (work.phase, hurries) {
                self.lanes.remove(ticket);
                work.phase = Phase::Settling;
            }
        }
        held.open.append(&mut open);
        for target in &targets {
            self.arrange(now, target);
        }
        for (target, value, sync) in carried {
            if targets.contains(&target) {
                self.observed(now, &target, Some(value), sync);
            }
        }
        self.settle(sequence);
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
            self.give_up_unseen(sequence, attempt, "handling it panicked");
        } else {
            let delay = REDELIVERY.delay(attempt, &mut self.rng);
            self.nak(sequence, Some(delay));
        }
    }

    /// A message that is held already came once more: its work goes on as it is.
    fn redelivered(&mut self, now: Duration, sequence: Sequence, attempt: u64) -> bool {
        let held = match (
            self.working.get_mut(&sequence),
            self.storing.get_mut(&sequence),
        ) {
            (Some(working), _) => &mut working.attempt,
            (None, Some(storing)) => &mut storing.attempt,
            (None, None) => return false,
        };
        *held = attempt;
        self.expect_progress(now, sequence);
        true
    }

    /// From now on the server waits for a sign of life.
    pub(super) fn expect_progress(&mut self, now: Duration, sequence: Sequence) {
        // Never at once again, whatever the setting: the timers would never come to an end.
        let every = self.settings.progress_every.max(Duration::from_millis(1));
        let at = now.saturating_add(every);
        self.timers.set(Timer::Progress(sequence), at);
    }

    fn give_up_unseen(&mut self, sequence: Sequence, attempt: u64, cause: &str) {
        let whole_message = Rejection {
            index: None,
            reason: Reason::TooManyAttempts,
            error: format!("delivered {attempt} times: {cause}"),
        };
        self.store(sequence, attempt, BTreeMap::from([(None, whole_message)]));
    }

    pub(super) fn nak(&mut self, sequence: Sequence, delay: Option<Duration>) {
        self.outputs.push_back(Output::Nak { sequence, delay });
    }
}

/// Which of its events the objects carry already: those are not written again.
fn carried(delivery: &Delivery) -> Vec<(Target, Value, SyncState)> {
    let refreshes = delivery.refreshes.iter();
    refreshes
        .filter_map(|refresh| {
            let value = refresh.carries?;
            (value.event == refresh.event).then(|| (refresh.target.clone(), value, refresh.sync))
        })
        .collect()
}
