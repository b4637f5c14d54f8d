//! A newer event answers for the older ones of its target.
//!
//! Its value is newer, and its own message, which is not acked, comes back after a crash. So no message is
//! held for an older event: what is held follows the targets, not the events. Only an older event that
//! settles longer stays, for its second value.

use std::{sync::Arc, time::Duration};

use eso_relay::event::Fingerprint;

use super::{
    Engine, Step,
    held::Version,
    waiter::Waiter,
    work::{Phase, Work},
};
use crate::object::{Kept, ObjectRef, Sequence};

impl Engine {
    /// One more delivery waits for its targets, unless newer ones answer for it there.
    pub(super) fn wait_for(&mut self, now: Duration, sequence: Sequence, targets: &[ObjectRef]) {
        let answered = targets
            .iter()
            .flat_map(|target| self.wait_for_one(sequence, target))
            .collect();
        self.complete_answered(now, sequence, answered);
    }

    fn wait_for_one(&mut self, sequence: Sequence, target: &ObjectRef) -> Vec<Sequence> {
        let held = self.in_progress.get(&sequence);
        let Some((delivery, request)) = held.and_then(|it| Some((it, it.open.get(target)?))) else {
            return Vec::new();
        };
        let waiter = Waiter::new(request, delivery);
        let version = request.version(sequence);
        let work = self.targets.entry(target.clone());
        let work = work.or_insert_with(|| Work::new(Arc::clone(&request.stores), request.sync));
        work.weight = request.weight;
        self.wait(target, version, waiter)
    }

    /// A delivery whose last word was said before has come again: now a crash would bring it back.
    pub(super) fn mark_durable(&mut self, now: Duration, sequence: Sequence) {
        let Some(delivery) = self.in_progress.get_mut(&sequence) else {
            return;
        };
        if delivery.kept != Kept::Nowhere {
            return;
        }
        delivery.kept = Kept::Stream;
        let open = delivery.open.iter();
        let open: Vec<_> = open
            .map(|(target, request)| (target.clone(), request.version(sequence)))
            .collect();
        let mut answered = Vec::new();
        for (target, version) in open {
            let work = self.targets.get_mut(&target);
            if let Some(mut waiter) = work.and_then(|work| work.waiting.remove(&version)) {
                waiter.durable = true;
                answered.extend(self.wait(&target, version, waiter));
                self.arrange(now, &target);
            }
        }
        self.complete_answered(now, sequence, answered);
    }

    /// Returns the deliveries that wait for the target no longer, because one answers for them.
    fn wait(&mut self, target: &ObjectRef, version: Version, waiter: Waiter) -> Vec<Sequence> {
        let Some(work) = self.targets.get_mut(target) else {
            return Vec::new();
        };
        let was = work.urgency();
        let (by, answered) = work.wait(version, waiter);
        let hurries = was < work.urgency();
        if let (Phase::Ready(ticket), true) = (work.phase, hurries) {
            self.lanes.remove(ticket);
            work.phase = Phase::Settling;
        }
        for older in &answered {
            let delivery = self.in_progress.get_mut(&older.sequence);
            let events = delivery.map(|delivery| delivery.close(target, None));
            self.track_answered(target, by, *older, &events.unwrap_or_default());
        }
        answered.into_iter().map(|older| older.sequence).collect()
    }

    /// Deliveries that wait for less than before. Not until `waiting` waits for all of its targets: one
    /// that a delivery which ends here was the last to wait for would be forgotten, and its faults too.
    fn complete_answered(&mut self, now: Duration, waiting: Sequence, answered: Vec<Sequence>) {
        for sequence in answered {
            if sequence != waiting {
                self.try_complete(now, sequence);
            }
        }
    }

    /// What becomes of `by` is told of these events too, as far as there is room.
    fn track_answered(
        &mut self,
        target: &ObjectRef,
        by: Version,
        older: Version,
        events: &[Fingerprint],
    ) {
        let kept = self.answered + self.outstanding.events;
        let fits = kept + events.len() <= self.settings.max_events;
        let in_doubt = self.breaker.is_in_doubt();
        let work = self.targets.get_mut(target);
        let work = work.filter(|work| fits && !work.is_stuck(in_doubt));
        if let Some(waiter) = work.and_then(|work| work.waiting.get_mut(&by)) {
            self.answered += events.len();
            waiter
                .answers
                .extend(events.iter().map(|event| (older, *event)));
        } else {
            self.steps(target, events, Step::Superseded);
        }
    }

    /// How long a target takes that fails on its own account, only a person can tell: its events must
    /// not take the room of others.
    pub(super) fn supersede(&mut self, target: &ObjectRef) {
        let Some(work) = self.targets.get_mut(target) else {
            return;
        };
        let waiters = work.waiting.values_mut();
        let answers = waiters.flat_map(|waiter| waiter.answers.drain(..));
        let events: Vec<_> = answers.map(|(_, event)| event).collect();
        self.answered -= events.len();
        self.steps(target, &events, Step::Superseded);
    }

    /// A delivery waits for the target no longer. This is told of the events that it answers for.
    pub(super) fn withdraw(&mut self, target: &ObjectRef, version: Version, step: Step) {
        let work = self.targets.get_mut(target);
        let waiter = work.and_then(|work| work.waiting.remove(&version));
        let events: Vec<_> = waiter.into_iter().flat_map(Waiter::events).collect();
        self.answered -= events.len();
        self.steps(target, &events, step);
    }
}
