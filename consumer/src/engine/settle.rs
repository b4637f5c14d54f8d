//! Deliveries go out: acknowledged, dead-lettered or handed back.

use std::time::Duration;

use eso_relay::stream::Reason;

use super::{
    Engine, Output, Step,
    backoff::REDELIVERY,
    held::{Place, Rejections, Storing, Working},
    timers::Timer,
    work::Phase,
};
use crate::object::{Kept, ObjectRef, Rejection, Sequence};

impl Engine {
    /// Lets the delivery go if nothing keeps it.
    pub(super) fn settle(&mut self, now: Duration, sequence: Sequence) {
        let Some(delivery) = self.working.get(&sequence) else {
            return;
        };
        if delivery.open.is_empty() {
            self.finish(now, sequence);
        } else if self.stopping {
            if !self.is_under_way(sequence, delivery) {
                self.hand_back(now, sequence);
            }
        } else if delivery.kept == Kept::Stream
            && delivery.place == Place::Here
            && self.is_stuck(sequence)
        {
            self.park(now, sequence);
        }
    }

    /// [`Self::settle`] for each delivery that waits for the target: only a stop or faults of its own
    /// let one go.
    pub(super) fn settle_waiting(&mut self, now: Duration, target: &ObjectRef) {
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
            self.settle(now, sequence);
        }
    }

    /// Every target is done: what could not be done becomes dead letters.
    fn finish(&mut self, now: Duration, sequence: Sequence) {
        let Some(delivery) = self.working.get(&sequence) else {
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
            self.store(sequence, delivery.attempt, delivery.rejections);
        }
    }

    fn forget(&mut self, sequence: Sequence) -> Option<Working> {
        let delivery = self.working.remove(&sequence)?;
        self.parked -= usize::from(delivery.place != Place::Here);
        self.timers.cancel(&Timer::GiveUp(sequence));
        self.timers.cancel(&Timer::Progress(sequence));
        Some(delivery)
    }

    pub(super) fn store(&mut self, sequence: Sequence, attempt: u64, rejections: Rejections) {
        let rejections: Vec<Rejection> = rejections.into_values().collect();
        let Some(reason) = rejections.first().map(|rejection| rejection.reason) else {
            return;
        };
        self.storing.insert(sequence, Storing { attempt, reason });
        self.outputs.push_back(Output::DeadLetter {
            sequence,
            attempt,
            rejections,
        });
    }

    pub(super) fn dead_lettered(&mut self, sequence: Sequence, stored: bool) {
        let Some(Storing { attempt, reason }) = self.storing.remove(&sequence) else {
            return;
        };
        self.timers.cancel(&Timer::Progress(sequence));
        if stored {
            self.outputs.push_back(Output::Term { sequence, reason });
        } else {
            let delay = REDELIVERY.delay(attempt, &mut self.rng);
            self.nak(sequence, Some(delay));
        }
    }

    /// The cluster has had its time: what is not done becomes dead letters.
    pub(super) fn give_up(&mut self, now: Duration, sequence: Sequence) {
        let Some(delivery) = self.working.get_mut(&sequence) else {
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
            .map(|(target, want)| (target.clone(), want.version(sequence)))
            .collect();
        let after = self.settings.give_up_after;
        for (target, version) in open {
            let work = self.targets.get(&target);
            let last = work.and_then(|work| work.error.clone());
            self.withdraw(&target, version, Step::GaveUp);
            let last = last.as_deref().unwrap_or("it was never its turn");
            let error = format!("{target} not refreshed within {after:?}: {last}");
            if let Some(delivery) = self.working.get_mut(&sequence) {
                let events = delivery.close(&target, Some((Reason::GaveUp, &error)));
                self.steps(&target, &events, Step::GaveUp);
            }
            self.tidy(&target);
            self.arrange(now, &target);
        }
        self.settle(now, sequence);
    }

    pub(super) fn stop(&mut self, now: Duration) {
        self.stopping = true;
        self.expect_nothing();
        let held: Vec<_> = self.working.keys().copied().collect();
        for sequence in held {
            self.settle(now, sequence);
        }
    }

    /// Whether a patch in flight may bring the delivery further.
    fn is_under_way(&self, sequence: Sequence, delivery: &Working) -> bool {
        delivery.open.iter().any(|(target, want)| {
            let phase = self.targets.get(target).map(|work| work.phase);
            matches!(phase, Some(Phase::Patching { version, .. }) if version >= want.version(sequence))
        })
    }

    pub(super) fn hand_back(&mut self, now: Duration, sequence: Sequence) {
        let Some(delivery) = self.forget(sequence) else {
            return;
        };
        for (target, want) in delivery.open {
            self.withdraw(&target, want.version(sequence), Step::Superseded);
            self.tidy(&target);
            self.arrange(now, &target);
        }
        self.nak(sequence, None);
    }
}
