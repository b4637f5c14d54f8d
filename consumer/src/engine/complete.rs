//! Concludes deliveries: acked, dead-lettered, parked or handed back.
//!
//! A message is not held because of an object that fails. Where a delivery waits only for such objects, its
//! message is *parked*: nak'ed with a delay, it takes no memory for its body and stays un-acked, while the
//! engine retries the objects as before. When the last of them is done, the parked message is acked; for a
//! dead letter, which needs the body, it is recalled.

use std::{ops::Bound, time::Duration};

use eso_relay::stream::Reason;

use super::{
    Engine, NotRestarted, Output, Step,
    backoff::{PARKED, REDELIVERY},
    held::{DeadLettering, InProgress, Place, Rejections},
    timers::Timer,
    work::Phase,
};
use crate::object::{Kept, ObjectRef, Sequence};

/// A recalled message that was not redelivered for so long, longer than the longest back-off, went to another
/// replica.
const RECALL: Duration = Duration::from_secs(15 * 60);

impl Engine {
    /// Concludes the delivery if it waits for no target; parks it, or hands it back, if it cannot go on.
    pub(super) fn try_complete(&mut self, now: Duration, sequence: Sequence) {
        let Some(delivery) = self.in_progress.get(&sequence) else {
            return;
        };
        if delivery.is_done() {
            self.finish(now, sequence);
        } else if self.stopping {
            if !self.is_in_flight(sequence, delivery) {
                self.hand_back(now, sequence);
            }
        } else if delivery.kept == Kept::Stream
            && delivery.place == Place::Here
            && self.is_stuck(sequence)
        {
            self.park(now, sequence);
        }
    }

    /// [`Self::try_complete`] for each delivery that waits for the target, if the engine stops or the target
    /// keeps failing.
    pub(super) fn complete_waiting(&mut self, now: Duration, target: &ObjectRef) {
        let Some(work) = self.targets.get(target) else {
            return;
        };
        let is_stuck = work.is_stuck(self.breaker.is_in_doubt());
        if !self.stopping && !is_stuck {
            return;
        }
        let waiting = work.waiting.keys();
        let sequences: Vec<_> = waiting.map(|version| version.sequence).collect();
        if is_stuck {
            self.supersede(target);
        }
        for sequence in sequences {
            self.try_complete(now, sequence);
        }
    }

    /// Every target and restart is done: acks, or stores the dead letters first.
    fn finish(&mut self, now: Duration, sequence: Sequence) {
        let Some(delivery) = self.in_progress.get(&sequence) else {
            return;
        };
        // A dead letter needs the body.
        if delivery.place != Place::Here && !delivery.rejections.is_empty() {
            return self.recall(now, sequence);
        }
        let Some(delivery) = self.forget(sequence) else {
            return;
        };
        if delivery.rejections.is_empty() {
            self.outputs.push_back(Output::Ack(sequence));
        } else {
            self.expect_progress(now, sequence);
            let InProgress {
                attempt,
                kept,
                rejections,
                ..
            } = delivery;
            self.store(sequence, attempt, kept, rejections);
        }
    }

    fn forget(&mut self, sequence: Sequence) -> Option<InProgress> {
        let delivery = self.in_progress.remove(&sequence)?;
        self.parked -= usize::from(delivery.place != Place::Here);
        self.timers.cancel(&Timer::GiveUp(sequence));
        self.timers.cancel(&Timer::Progress(sequence));
        self.timers.cancel(&Timer::NotSynced(sequence));
        Some(delivery)
    }

    pub(super) fn store(
        &mut self,
        sequence: Sequence,
        attempt: u64,
        kept: Kept,
        rejections: Rejections,
    ) {
        let dead_lettering = DeadLettering {
            attempt,
            kept,
            rejections: rejections.into_values().collect(),
            tries: 0,
            sent: false,
        };
        self.dead_lettering.insert(sequence, dead_lettering);
        self.send_dead_letters(sequence);
    }

    pub(super) fn send_dead_letters(&mut self, sequence: Sequence) {
        let Some(dead_lettering) = self.dead_lettering.get_mut(&sequence) else {
            return;
        };
        (dead_lettering.tries, dead_lettering.sent) = (dead_lettering.tries + 1, true);
        self.outputs.push_back(Output::DeadLetter {
            sequence,
            attempt: dead_lettering.attempt,
            rejections: dead_lettering.rejections.clone(),
        });
    }

    pub(super) fn dead_lettered(&mut self, now: Duration, sequence: Sequence, stored: bool) {
        let Some(dead_lettering) = self.dead_lettering.get_mut(&sequence) else {
            return;
        };
        dead_lettering.sent = false;
        let delay = REDELIVERY.delay(
            dead_lettering.attempt.max(dead_lettering.tries),
            &mut self.rng,
        );
        if stored {
            let reason = dead_lettering
                .rejections
                .first()
                .map(|rejection| rejection.reason);
            self.forget_dead_letters(sequence);
            let term = reason.map(|reason| Output::Term { sequence, reason });
            self.outputs.extend(term);
        } else if dead_lettering.kept == Kept::Nowhere && !self.stopping {
            // It would not be redelivered.
            let at = now.saturating_add(delay);
            self.timers.set(Timer::Store(sequence), at);
        } else {
            self.forget_dead_letters(sequence);
            self.nak(sequence, Some(delay));
        }
    }

    fn forget_dead_letters(&mut self, sequence: Sequence) {
        self.dead_lettering.remove(&sequence);
        self.timers.cancel(&Timer::Progress(sequence));
        self.timers.cancel(&Timer::Store(sequence));
    }

    /// `give_up_after` is over: the events whose targets or restarts are not done become dead letters.
    pub(super) fn give_up(&mut self, now: Duration, sequence: Sequence) {
        let Some(delivery) = self.in_progress.get_mut(&sequence) else {
            return;
        };
        match delivery.place {
            Place::Here => {}
            Place::Parked => return self.recall(now, sequence),
            Place::Recalled => return self.hand_back(now, sequence),
        }
        let open: Vec<_> = delivery
            .open
            .iter()
            .map(|(target, request)| (target.clone(), request.version(sequence)))
            .collect();
        let after = self.settings.give_up_after;
        for (target, version) in open {
            let work = self.targets.get(&target);
            let last = work.and_then(|work| work.error.clone());
            let followers = self.withdraw(&target, version, Step::GaveUp);
            let last = last.as_deref().unwrap_or("it was never patched");
            let error = format!("{target} not refreshed within {after:?}: {last}");
            if let Some(delivery) = self.in_progress.get_mut(&sequence) {
                let events = delivery.close(&target, Some((Reason::GaveUp, &error)));
                self.steps(&target, &events, Step::GaveUp);
            }
            self.target_ended(now, &target, followers, NotRestarted::GaveUp);
            self.tidy(&target);
            self.arrange(now, &target);
        }
        self.give_up_restarts(now, sequence);
        self.try_complete(now, sequence);
    }

    pub(super) fn stop(&mut self, now: Duration) {
        self.stopping = true;
        self.expect_nothing();
        self.restart_nothing();
        let held: Vec<_> = self.in_progress.keys().copied().collect();
        for sequence in held {
            self.try_complete(now, sequence);
        }
        let dead_lettering = self
            .dead_lettering
            .iter()
            .filter(|(_, dead_lettering)| !dead_lettering.sent);
        let waiting: Vec<_> = dead_lettering.map(|(sequence, _)| *sequence).collect();
        for sequence in waiting {
            self.forget_dead_letters(sequence);
            self.nak(sequence, None);
        }
    }

    /// Whether a patch in flight may complete the delivery.
    fn is_in_flight(&self, sequence: Sequence, delivery: &InProgress) -> bool {
        let mut restarts = delivery.restarts.iter();
        let restarting = restarts.any(|restart| self.restarts.is_in_flight(sequence, restart));
        restarting || delivery.open.iter().any(|(target, request)| {
            let phase = self.targets.get(target).map(|work| work.phase);
            matches!(phase, Some(Phase::Patching { version, .. }) if version >= request.version(sequence))
        })
    }

    pub(super) fn hand_back(&mut self, now: Duration, sequence: Sequence) {
        let Some(delivery) = self.forget(sequence) else {
            return;
        };
        self.withdraw_restarts(now, sequence, &delivery.restarts);
        let mut followers = Vec::new();
        for (target, request) in delivery.open {
            let version = request.version(sequence);
            followers.extend(self.withdraw(&target, version, Step::Superseded));
            self.tidy(&target);
            self.arrange(now, &target);
        }
        for target in delivery.follows.keys() {
            self.forget_late(target);
        }
        self.nak(sequence, None);
        // Their restarts would have followed a mark that is not written here any more.
        for older in followers {
            self.hand_back(now, older);
        }
    }
}

impl Engine {
    /// Whether it waits only for objects that keep failing, or that ESO does not sync in time.
    pub(super) fn is_stuck(&mut self, sequence: Sequence) -> bool {
        let in_doubt = self.breaker.is_in_doubt();
        let Some(delivery) = self.in_progress.get_mut(&sequence) else {
            return false;
        };
        if !self.restarts.are_late(sequence, &delivery.restarts) {
            return false;
        }
        let is_going = |target: &&_| {
            let work = self.targets.get(*target);
            work.is_none_or(|work| !work.is_stuck(in_doubt))
        };
        // Continues where the last search ended: a delivery may wait for very many.
        let last = delivery.going.as_ref();
        let from = (
            last.map_or(Bound::Unbounded, Bound::Included),
            Bound::Unbounded,
        );
        let rest = delivery.open.range(from).map(|(target, _)| target);
        let all = rest.chain(delivery.open.keys());
        let going = all.into_iter().find(is_going).cloned();
        delivery.going = going;
        delivery.going.is_none()
    }

    pub(super) fn park(&mut self, now: Duration, sequence: Sequence) {
        let Some(delivery) = self.in_progress.get_mut(&sequence) else {
            return;
        };
        if delivery.due <= now {
            return self.give_up(now, sequence);
        }
        if self.not_synced(now, sequence) {
            return self.try_complete(now, sequence);
        }
        let Some(delivery) = self.in_progress.get_mut(&sequence) else {
            return;
        };
        delivery.place = Place::Parked;
        self.parked += 1;
        self.timers.cancel(&Timer::Progress(sequence));
        let delay = PARKED.delay(delivery.attempt, &mut self.rng);
        self.outputs.push_back(Output::Park { sequence, delay });
    }

    /// It was redelivered.
    pub(super) fn unpark(&mut self, now: Duration, sequence: Sequence) {
        if let Some(delivery) = self.in_progress.get_mut(&sequence)
            && delivery.place != Place::Here
        {
            if delivery.place == Place::Recalled {
                let at = delivery.due.max(now);
                self.timers.set(Timer::GiveUp(sequence), at);
                let at = delivery.sync_due;
                self.timers.set(Timer::NotSynced(sequence), at);
            }
            delivery.place = Place::Here;
            self.parked -= 1;
        }
    }

    /// Asks for its redelivery at once, for its body.
    pub(super) fn recall(&mut self, now: Duration, sequence: Sequence) {
        if self.stopping {
            self.hand_back(now, sequence);
        } else if let Some(delivery) = self.in_progress.get_mut(&sequence)
            && delivery.place == Place::Parked
        {
            delivery.place = Place::Recalled;
            let until = now.saturating_add(RECALL);
            self.timers.set(Timer::GiveUp(sequence), until);
            self.outputs.push_back(Output::Recall(sequence));
        }
    }
}
