//! Starts patches, and handles their results.

use std::{sync::Arc, time::Duration};

use eso_relay::{event::Fingerprint, stream::Reason};

use super::{
    Engine, NotRestarted, Output, Step, Urgency,
    backoff::{CLUSTER, TARGET},
    held::Version,
    lane::Entry,
    observe::Expect,
    timers::Timer,
    work::{Next, Phase, Waiter},
};
use crate::object::{Fault, ObjectRef, Outcome, RefreshMark, Sequence, SyncState};

fn take_followers(done: &mut [(Version, Waiter)]) -> Vec<Sequence> {
    let followers = done.iter_mut();
    followers
        .flat_map(|(_, waiter)| waiter.followers.drain(..))
        .collect()
}

impl Engine {
    pub(super) fn start_patches(&mut self, now: Duration) {
        while self.next_start().is_some_and(|at| at <= now) {
            let Some(target) = self.lanes.start(now) else {
                return;
            };
            let Some(work) = self.targets.get_mut(&target) else {
                continue;
            };
            let Some(Next { version, value, .. }) = work.next() else {
                continue;
            };
            work.send(now, version, value);
            self.outputs.push_back(Output::Patch { target, value });
        }
    }

    /// When the next patch may start; `None` until another input.
    pub(super) fn next_start(&self) -> Option<Duration> {
        if self.stopping || self.is_away() {
            return None;
        }
        Some(self.lanes.wake_at()?.max(self.backlog_delay.next()))
    }

    pub(super) fn patched(
        &mut self,
        now: Duration,
        target: &ObjectRef,
        value: RefreshMark,
        outcome: Outcome,
    ) {
        let Some(work) = self.targets.get_mut(target) else {
            return;
        };
        let Phase::Patching {
            version,
            value: asked,
        } = work.phase
        else {
            return;
        };
        if asked != value {
            return;
        }
        work.phase = Phase::Settling;
        self.lanes.ended(target, outcome == Outcome::Done);
        match outcome {
            Outcome::Done => {
                self.answered(target);
                let seen = false;
                self.written(now, target, version, value, (Step::Patched, seen));
            }
            Outcome::Gone => {
                self.answered(target);
                self.close(now, target, version, None, Step::Gone);
            }
            Outcome::Refused { error } => {
                self.answered(target);
                let error = format!("{target}: {error}");
                let failure = Some((Reason::Refused, error.as_str()));
                self.close(now, target, version, failure, Step::Refused);
            }
            Outcome::Retry {
                fault,
                after,
                error,
            } => {
                self.retry(now, target, fault, after, error);
            }
        }
        self.complete_waiting(now, target);
        self.tidy(target);
        self.arrange(now, target);
    }

    fn answered(&mut self, target: &ObjectRef) {
        self.api_answered();
        self.lanes.answered(target);
        if let Some(work) = self.targets.get_mut(target) {
            work.answered();
        }
    }

    pub(super) fn api_answered(&mut self) {
        if self.breaker.answered() {
            self.api_is_back();
        }
    }

    /// What may be a fault of the API as a whole.
    pub(super) fn api_failed(&mut self, now: Duration) {
        if !self.stopping && self.breaker.failed(now) {
            self.outputs.push_back(Output::Probe);
        }
    }

    fn api_is_back(&mut self) {
        self.timers.cancel(&Timer::Probe);
        self.lanes.clear_suspects();
    }

    /// A probe has a result. If it was answered, the faults concern single objects: these back off, and all others
    /// continue.
    pub(super) fn probed(&mut self, now: Duration, answered: bool) {
        let was_away = self.is_away();
        match self.breaker.probed(now, answered, &mut self.rng) {
            Some(next) if !self.stopping => self.timers.set(Timer::Probe, next),
            _ if was_away && !self.is_away() => self.api_is_back(),
            _ => {}
        }
    }

    pub(super) fn probe(&mut self) {
        if !self.stopping && self.breaker.probe() {
            self.outputs.push_back(Output::Probe);
        }
    }

    fn retry(
        &mut self,
        now: Duration,
        target: &ObjectRef,
        fault: Fault,
        after: Option<Duration>,
        error: String,
    ) {
        let Some(work) = self.targets.get_mut(target) else {
            return;
        };
        let failures = work.failed(fault, after, error);
        work.phase = Phase::BackingOff;
        self.lanes.failed(target);
        let rest = match fault {
            Fault::Cluster => {
                self.api_failed(now);
                CLUSTER.delay(failures, &mut self.rng)
            }
            Fault::Object | Fault::Permission => {
                self.api_answered();
                TARGET.delay(failures, &mut self.rng)
            }
        };
        let until = now.saturating_add(rest.max(after.unwrap_or_default()));
        self.timers.set(Timer::Retry(target.clone()), until);
    }

    pub(super) fn retry_due(&mut self, now: Duration, target: &ObjectRef) {
        self.enqueue(now, target);
        self.arrange(now, target);
    }

    /// Appends the target to the queue of its lane.
    fn enqueue(&mut self, now: Duration, target: &ObjectRef) {
        let Some(work) = self.targets.get_mut(target) else {
            return;
        };
        let urgency = work.urgency().unwrap_or(Urgency::Exact);
        let jitter = self.settings.jitter;
        let from = if urgency == Urgency::Exact || jitter.is_zero() {
            Duration::ZERO
        } else {
            now.saturating_add(jitter.mul_f64(self.rng.f64()))
        };
        let entry = Entry {
            target: target.clone(),
            urgency,
            stores: Arc::clone(&work.stores),
            weight: work.weight,
            failing: work.is_failing(),
        };
        work.phase = Phase::Ready(self.lanes.push(entry, from));
    }

    /// Moves the target into the queue, or out of it until its second mark is due.
    pub(super) fn arrange(&mut self, now: Duration, target: &ObjectRef) {
        let Some(work) = self.targets.get_mut(target) else {
            return;
        };
        let from = work.next().map_or(Duration::ZERO, |next| next.from);
        let timer = || Timer::Settle(target.clone());
        match work.phase {
            Phase::Ready(ticket) if from > now => {
                self.lanes.remove(ticket);
                work.phase = Phase::Settling;
                self.timers.set(timer(), from);
            }
            Phase::Settling if from > now => self.timers.set(timer(), from),
            Phase::Settling => {
                self.timers.cancel(&timer());
                self.enqueue(now, target);
            }
            Phase::Ready(_) | Phase::Patching { .. } | Phase::BackingOff => {}
        }
    }

    /// The watch has shown the object. Another replica may have patched it, or a patch whose response was lost.
    /// Only an equal mark counts: fingerprints have no order.
    pub(super) fn observed(
        &mut self,
        now: Duration,
        target: &ObjectRef,
        value: Option<RefreshMark>,
        sync: SyncState,
    ) {
        if let Some(value) = value
            && let Some(work) = self.targets.get(target)
            && let Some(version) = work.version_of(value.event)
        {
            let step = match work.phase {
                Phase::Patching { value: asked, .. } if asked == value => Step::Patched,
                _ => Step::Carried,
            };
            let seen = true;
            self.written(now, target, version, value, (step, seen));
            self.tidy(target);
            self.arrange(now, target);
        }
        if let Some(work) = self.targets.get_mut(target) {
            work.sync = sync;
            work.shown = value;
        }
        self.observe(now, target, value, sync);
    }

    /// The watch has shown that the object is gone. It may be late, and an object of the same name may exist
    /// already, from before the event. So the target is retried, and the API's "not found" ends it.
    pub(super) fn deleted(&mut self, now: Duration, target: &ObjectRef) {
        if let Some(work) = self.targets.get(target)
            && work.backs_off_alone()
        {
            self.timers.set(Timer::Retry(target.clone()), now);
        }
        self.vanished(now, target);
    }

    fn written(
        &mut self,
        now: Duration,
        target: &ObjectRef,
        version: Version,
        value: RefreshMark,
        (step, seen): (Step, bool),
    ) {
        let Some(work) = self.targets.get_mut(target) else {
            return;
        };
        let before = work.sync;
        let shown = work.shown == Some(value);
        let (mut done, mut events) = work.written(now, version, value);
        let followers = take_followers(&mut done);
        self.answered -= events.len();
        self.steps(target, &events, step);
        events.extend(self.release(now, target, done, None, step));
        // If the watch was faster than the response, the sync is expected already.
        if !shown || !events.is_empty() || !followers.is_empty() {
            let expected = Expect {
                version,
                value,
                before,
                seen,
                events,
                followers,
            };
            self.expect(now, target, expected);
        }
    }

    /// Releases every delivery that waits for `done` or an older mark of the target.
    fn close(
        &mut self,
        now: Duration,
        target: &ObjectRef,
        done: Version,
        failure: Option<(Reason, &str)>,
        step: Step,
    ) {
        let Some(work) = self.targets.get_mut(target) else {
            return;
        };
        let mut done = work.take_up_to(done);
        let followers = take_followers(&mut done);
        self.release(now, target, done, failure, step);
        let why = match step {
            Step::Refused => NotRestarted::Refused,
            _ => NotRestarted::Gone,
        };
        self.target_ended(now, target, followers, why);
    }

    /// Returns the events of these deliveries, and those that they answer for.
    fn release(
        &mut self,
        now: Duration,
        target: &ObjectRef,
        done: Vec<(Version, Waiter)>,
        failure: Option<(Reason, &str)>,
        step: Step,
    ) -> Vec<Fingerprint> {
        let mut released = Vec::new();
        for (Version { sequence, .. }, waiter) in done {
            let mut events: Vec<_> = waiter.events().collect();
            self.answered -= events.len();
            if let Some(delivery) = self.in_progress.get_mut(&sequence) {
                events.extend(delivery.close(target, failure));
            }
            self.steps(target, &events, step);
            released.extend(events);
            self.try_complete(now, sequence);
        }
        released
    }

    pub(super) fn steps(&mut self, target: &ObjectRef, events: &[Fingerprint], step: Step) {
        let steps = events.iter().map(|event| Output::Step {
            event: *event,
            target: target.clone(),
            step,
            after: Duration::ZERO,
        });
        self.outputs.extend(steps);
    }

    /// Removes a target that no delivery waits for.
    pub(super) fn tidy(&mut self, target: &ObjectRef) {
        let Some(work) = self.targets.get(target) else {
            return;
        };
        if !work.waiting.is_empty() {
            return;
        }
        match work.phase {
            Phase::Patching { .. } => return,
            Phase::Ready(ticket) => self.lanes.remove(ticket),
            Phase::BackingOff => self.timers.cancel(&Timer::Retry(target.clone())),
            Phase::Settling => self.timers.cancel(&Timer::Settle(target.clone())),
        }
        self.targets.remove(target);
        self.lanes.forget(target);
    }
}
