//! Deliveries go out: acknowledged, dead-lettered or handed back.

use std::{mem, time::Duration};

use eso_relay::stream::Reason;

use super::{
    Engine, Output, Rejection, Sequence, Step,
    backoff::REDELIVERY,
    held::{Rejections, Storing, Working},
    timers::Timer,
    work::Phase,
};
use crate::target::Target;

impl Engine {
    /// Lets the delivery go if nothing keeps it.
    pub(super) fn settle(&mut self, sequence: Sequence) {
        let Some(delivery) = self.working.get(&sequence) else {
            return;
        };
        if delivery.open.is_empty() {
            self.finish(sequence);
        } else if self.stopping && !self.is_under_way(sequence, delivery) {
            self.hand_back(sequence);
        }
    }

    /// [`Self::settle`] for each delivery that waits for the target: only a stop lets one go.
    pub(super) fn settle_waiting(&mut self, target: &Target) {
        if !self.stopping {
            return;
        }
        let waiting = self.targets.get(target).map(|work| &work.waiting);
        let sequences: Vec<_> = waiting
            .into_iter()
            .flat_map(|waiting| waiting.keys())
            .map(|version| version.sequence)
            .collect();
        for sequence in sequences {
            self.settle(sequence);
        }
    }

    /// Every target is done: what could not be done becomes dead letters.
    fn finish(&mut self, sequence: Sequence) {
        let Some(delivery) = self.working.remove(&sequence) else {
            return;
        };
        self.timers.cancel(&Timer::GiveUp(sequence));
        if delivery.rejections.is_empty() {
            self.timers.cancel(&Timer::Progress(sequence));
            self.outputs.push_back(Output::Ack(sequence));
        } else {
            self.store(sequence, delivery.attempt, delivery.rejections);
        }
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
        let open: Vec<_> = delivery
            .open
            .iter()
            .map(|(target, want)| (target.clone(), want.version(sequence)))
            .collect();
        let after = self.settings.give_up_after;
        for (target, version) in open {
            let work = self.targets.get_mut(&target);
            let last = work.and_then(|work| {
                work.waiting.remove(&version);
                work.error.clone()
            });
            let last = last.as_deref().unwrap_or("it was never its turn");
            let error = format!("{target} not refreshed within {after:?}: {last}");
            if let Some(delivery) = self.working.get_mut(&sequence) {
                let events = delivery.close(&target, Some((Reason::GaveUp, &error)));
                self.steps(&target, &events, Step::GaveUp);
            }
            self.tidy(&target);
            self.arrange(now, &target);
        }
        self.settle(sequence);
    }

    pub(super) fn stop(&mut self) {
        self.stopping = true;
        self.expect_nothing();
        let held: Vec<_> = self.working.keys().copied().collect();
        for sequence in held {
            self.settle(sequence);
        }
    }

    /// Whether a patch in flight may bring the delivery further.
    fn is_under_way(&self, sequence: Sequence, delivery: &Working) -> bool {
        delivery.open.iter().any(|(target, want)| {
            let phase = self.targets.get(target).map(|work| work.phase);
            matches!(phase, Some(Phase::Patching { version, .. }) if version >= want.version(sequence))
        })
    }

    fn hand_back(&mut self, sequence: Sequence) {
        let Some(mut delivery) = self.working.remove(&sequence) else {
            return;
        };
        self.timers.cancel(&Timer::GiveUp(sequence));
        self.timers.cancel(&Timer::Progress(sequence));
        for (target, want) in mem::take(&mut delivery.open) {
            if let Some(work) = self.targets.get_mut(&target) {
                work.waiting.remove(&want.version(sequence));
            }
            self.tidy(&target);
        }
        self.nak(sequence, None);
    }
}
