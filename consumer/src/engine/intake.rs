//! Accepts deliveries.
//!
//! A newer event answers for the older ones of its target: its value is newer, and its own message, which is
//! not acked, is redelivered after a crash. So no message is held for an older event: what is held is bounded
//! by the targets, not by the events. Only an older event that settles longer stays, for its second value.

use std::{collections::BTreeMap, mem, sync::Arc, time::Duration};

use eso_relay::{event::Fingerprint, stream::Reason};

use super::{
    Delivery, Engine, Output, Restart, Step,
    backoff::REDELIVERY,
    held::{InProgress, Reporting, Request, Version},
    timers::Timer,
    work::{Phase, Waiter, Work},
};
use crate::object::{Kept, ObjectRef, RefreshMark, Rejection, Sequence, Stage, SyncState};

/// An event that is older than `give_up_after` when it is delivered still has so long: after an outage, the
/// cluster may need a moment.
const GRACE: Duration = Duration::from_secs(3600);

impl Engine {
    pub(super) fn accept(&mut self, now: Duration, delivery: Delivery) {
        let pending = delivery.pending;
        self.hold(now, delivery, Reporting::Pending);
        self.backlog_delay.delivered(now, pending, self.room() == 0);
    }

    fn hold(&mut self, now: Duration, mut delivery: Delivery, reporting: Reporting) {
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
        ask_for_proof(&mut delivery);
        let carried = carried(&delivery);
        let restarts = mem::take(&mut delivery.restarts);
        let mut held = InProgress::new(delivery, due, reporting);
        let open = mem::take(&mut held.open);
        self.in_progress.insert(sequence, held);
        self.request(now, sequence, open, carried, restarts);
    }

    /// Adds the new targets if the message is held; otherwise holds it again, unless its dead letters are being
    /// stored. It restarts nothing.
    pub(super) fn accept_late(
        &mut self,
        now: Duration,
        mut delivery: Delivery,
        reporting: Reporting,
    ) {
        let sequence = delivery.sequence;
        delivery.restarts = Vec::new();
        if self.in_progress.contains_key(&sequence) {
            let carried = carried(&delivery);
            let InProgress { open, .. } = InProgress::new(delivery, now, reporting);
            self.request(now, sequence, open, carried, Vec::new());
        } else if !self.is_dead_lettering(sequence) {
            delivery.kept = Kept::Nowhere;
            self.hold(now, delivery, reporting);
        }
    }

    /// Adds targets to a held message, and applies the marks that the objects carry already.
    fn request(
        &mut self,
        now: Duration,
        sequence: Sequence,
        mut open: BTreeMap<ObjectRef, Request>,
        carried: Vec<(ObjectRef, RefreshMark, SyncState)>,
        restarts: Vec<Restart>,
    ) {
        let Some(held) = self.in_progress.get_mut(&sequence) else {
            return;
        };
        open.retain(|target, _| !held.open.contains_key(target));
        let targets: Vec<_> = open.keys().cloned().collect();
        held.open.append(&mut open);
        let shown = self.want_restarts(now, sequence, restarts);
        self.wait_for(now, sequence, &targets);
        for target in &targets {
            self.arrange(now, target);
        }
        for (target, value, sync) in carried {
            if targets.contains(&target) {
                self.observed(now, &target, Some(value), sync);
            }
        }
        self.review_restarts(now, &shown);
        self.try_complete(now, sequence);
    }

    /// Decoding or matching it panicked. A retry may succeed, for instance in another version.
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

    /// Handles the redelivery of a held message, whose work does not change.
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
        self.unpark(now, sequence);
        self.mark_durable(now, sequence);
        self.try_complete(now, sequence);
        true
    }

    /// The server expects a progress ack from now on.
    pub(super) fn expect_progress(&mut self, now: Duration, sequence: Sequence) {
        // Never zero, whatever the setting: the timers would fire for ever.
        let every = self.settings.progress_every.max(Duration::from_millis(1));
        let at = now.saturating_add(every);
        self.timers.set(Timer::Progress(sequence), at);
    }

    pub(super) fn nak(&mut self, sequence: Sequence, delay: Option<Duration>) {
        self.outputs.push_back(Output::Nak { sequence, delay });
    }
}

/// Where a restart follows a mark that the object carries already, and the hash of ESO has an unknown form, nothing shows
/// whether ESO has synced it: it may have, before this replica looked. A second mark is written, whose sync changes the
/// hash.
fn ask_for_proof(delivery: &mut Delivery) {
    let Delivery {
        refreshes,
        restarts,
        ..
    } = delivery;
    for refresh in refreshes {
        let first = RefreshMark {
            event: refresh.event,
            stage: Stage::First,
        };
        let is_unknown = matches!(refresh.sync, SyncState::Unknown { .. });
        let follows = |restart: &Restart| restart.follows.contains(&refresh.target);
        if is_unknown && refresh.carries == Some(first) && restarts.iter().any(follows) {
            refresh.settle.get_or_insert_default();
        }
    }
}

/// The events whose marks the objects carry already: these are not written again.
fn carried(delivery: &Delivery) -> Vec<(ObjectRef, RefreshMark, SyncState)> {
    let refreshes = delivery.refreshes.iter();
    refreshes
        .filter_map(|refresh| {
            let value = refresh.carries?;
            (value.event == refresh.event).then(|| (refresh.target.clone(), value, refresh.sync))
        })
        .collect()
}

impl Engine {
    /// Makes the delivery wait for these targets, unless newer ones answer for it.
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
        let follows = delivery.follows(target);
        let followers = follows.then_some(sequence).into_iter().collect();
        let waiter = Waiter::new(request, delivery, followers);
        let version = request.version(sequence);
        let work = self.targets.entry(target.clone());
        let work = work.or_insert_with(|| Work::new(Arc::clone(&request.stores), request.sync));
        work.weight = request.weight;
        self.wait(target, version, waiter)
    }

    /// A delivery that was acked before is redelivered: from now on a crash would bring it back.
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

    /// Returns the deliveries that do not wait for the target any more, because another answers for them.
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
        // Only those that still follow: a stream of events must not leave its traces here.
        let waiter = work.waiting.get_mut(&by);
        if let Some(waiter) = waiter.filter(|waiter| waiter.followers.len() > 1) {
            waiter.followers.retain(|sequence| {
                let delivery = self.in_progress.get(sequence);
                delivery.is_some_and(|delivery| delivery.follows(target))
            });
        }
        for older in &answered {
            let delivery = self.in_progress.get_mut(&older.sequence);
            let events = delivery.map(|delivery| delivery.close(target, None));
            self.track_answered(target, by, *older, &events.unwrap_or_default());
        }
        answered.into_iter().map(|older| older.sequence).collect()
    }

    /// Completes the deliveries that another answers for. Only after `waiting` waits for all of its targets:
    /// otherwise a target whose last delivery ends here would be removed together with its faults.
    fn complete_answered(&mut self, now: Duration, waiting: Sequence, answered: Vec<Sequence>) {
        for sequence in answered {
            if sequence != waiting {
                self.try_complete(now, sequence);
            }
        }
    }

    /// Reports the steps of `by` for these events too, as far as there is room.
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

    /// A target that keeps failing may take long, so the events that it tracks are reported as superseded and
    /// leave their room to others.
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

    /// A delivery does not wait for the target any more. Reports this step for the events that it answers for, and
    /// returns the deliveries whose restarts would have followed.
    pub(super) fn withdraw(
        &mut self,
        target: &ObjectRef,
        version: Version,
        step: Step,
    ) -> Vec<Sequence> {
        let work = self.targets.get_mut(target);
        let mut waiter = work.and_then(|work| work.waiting.remove(&version));
        let followers = waiter.as_mut();
        let followers = followers.map(|waiter| mem::take(&mut waiter.followers));
        let events: Vec<_> = waiter.into_iter().flat_map(Waiter::events).collect();
        self.answered -= events.len();
        self.steps(target, &events, step);
        followers.unwrap_or_default()
    }
}
