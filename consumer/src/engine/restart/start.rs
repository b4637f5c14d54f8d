//! Gathers what is asked for a workload, starts its restart, and handles the result.

use std::{mem, time::Duration};

use eso_relay::stream::Reason;

use super::{
    super::{
        Engine, NotRestarted, Output, RestartSettings, Step,
        backoff::{CLUSTER, TARGET},
        timers::Timer,
    },
    Phase, Request, Requests, Turn, Work, take,
};
use crate::object::{Fault, ObjectRef, Outcome};

impl Work {
    /// When it may be restarted, and for what is ready.
    fn due(&self, settings: &RestartSettings) -> Option<Duration> {
        let requests = || self.waiting.values();
        let first = requests().filter_map(Request::first_ready).min()?;
        let last = requests().filter_map(Request::ready_since).max()?;
        let latest = first.saturating_add(settings.gather_at_most);
        let quiet = last.saturating_add(settings.gather);
        let complete = requests().all(Request::is_ready);
        let gathered = if complete { quiet.min(latest) } else { latest };
        Some(gathered.max(self.rested(settings)))
    }

    /// When its last restart is long enough ago.
    fn rested(&self, settings: &RestartSettings) -> Duration {
        let own = self.state.as_ref().and_then(|state| state.interval);
        let interval = own.unwrap_or(settings.min_interval);
        let last = self.restarted.map(|at| at.saturating_add(interval));
        last.unwrap_or_default()
    }

    /// When a request that waits for the store alone is ready.
    fn next_ready(&self) -> Option<Duration> {
        let waiting = self.waiting.values().filter(|request| !request.is_ready());
        waiting.filter_map(Request::ready_from).min()
    }
}

impl Engine {
    /// Moves the workload into the queue, or out of it until it is due.
    pub(super) fn schedule(&mut self, now: Duration, workload: &ObjectRef) {
        if self.stopping {
            return self.tidy_workload(workload);
        }
        let Some(work) = self.restarts.workloads.get_mut(workload) else {
            return;
        };
        if matches!(work.phase, Phase::Patching { .. } | Phase::BackingOff) {
            return self.tidy_workload(workload);
        }
        if let Phase::Ready(turn) = mem::take(&mut work.phase) {
            self.restarts.queue.remove(&turn);
        }
        let settings = &self.settings.restart;
        let due = work.due(settings);
        if let Some(since) = due.filter(|due| *due <= now) {
            let turn = Turn {
                needs_place: !self.restarts.rollouts.has(workload),
                since,
                workload: workload.clone(),
            };
            self.restarts.queue.insert(turn.clone());
            work.phase = Phase::Ready(turn);
        }
        let rested = Some(work.rested(settings)).filter(|_| work.waiting.is_empty());
        let next = [due, work.next_ready(), rested].into_iter().flatten();
        let timer = Timer::Restart(workload.clone());
        if let Some(at) = next.filter(|at| *at > now).min() {
            self.timers.set(timer, at);
        } else {
            self.timers.cancel(&timer);
            self.tidy_workload(workload);
        }
    }

    /// Removes a workload for which nothing waits.
    pub(super) fn tidy_workload(&mut self, workload: &ObjectRef) {
        let work = self.restarts.workloads.get(workload);
        let idle = work.is_some_and(|work| {
            work.waiting.is_empty() && !matches!(work.phase, Phase::Patching { .. })
        });
        if idle {
            self.restarts.workloads.remove(workload);
            self.timers.cancel(&Timer::Restart(workload.clone()));
        }
    }

    /// Starts what is due, as far as there is room in the window.
    pub(in super::super) fn start_restarts(&mut self) {
        let most = self.settings.restart.concurrency.max(1);
        while !self.stopping && !self.is_away() {
            let full = self.restarts.rollouts.len() >= most;
            let first = self.restarts.queue.first();
            if first.is_none_or(|turn| turn.needs_place && full) {
                return;
            }
            let Some(Turn { workload, .. }) = self.restarts.queue.pop_first() else {
                return;
            };
            let Some(work) = self.restarts.workloads.get_mut(&workload) else {
                continue;
            };
            work.phase = Phase::Waiting;
            let Some(over) = work.state.clone() else {
                continue;
            };
            let requests: Requests = take(&mut work.waiting, Request::is_ready).collect();
            let events = requests.values().flat_map(Request::events);
            // One that it answers for may be done already.
            let events = events.filter(|event| !over.marks.contains(*event));
            self.outputs.push_back(Output::Restart {
                workload: workload.clone(),
                events: events.collect(),
                over: over.clone(),
            });
            work.phase = Phase::Patching { over, requests };
            self.restarts.rollouts.enter(&workload);
        }
    }

    /// A restart has a result.
    pub(in super::super) fn restarted(
        &mut self,
        now: Duration,
        workload: &ObjectRef,
        outcome: Outcome,
    ) {
        let Some(work) = self.restarts.workloads.get_mut(workload) else {
            return;
        };
        let (over, requests) = match mem::take(&mut work.phase) {
            Phase::Patching { over, requests } => (over, requests),
            other => {
                work.phase = other;
                return;
            }
        };
        let sequences: Vec<_> = requests.keys().map(|version| version.sequence).collect();
        let (step, failure) = match outcome {
            Outcome::Done => {
                work.restarted = Some(now);
                (Step::Restarted, None)
            }
            Outcome::Gone => (Step::NotRestarted(NotRestarted::Gone), None),
            Outcome::Refused { error } => {
                let error = format!("{workload}: {error}");
                (Step::NotRestarted(NotRestarted::Refused), Some(error))
            }
            Outcome::Retry {
                fault: Fault::Permission,
                ..
            } => (Step::NotRestarted(NotRestarted::Forbidden), None),
            Outcome::Retry {
                fault,
                after,
                error,
            } => {
                work.waiting.extend(requests);
                self.retry_restart(now, workload, fault, after, error);
                self.restarts.rollouts.leave(workload);
                self.end_what_was_stopped(now, workload);
                self.review(now, workload);
                for sequence in sequences {
                    self.try_complete(now, sequence);
                }
                return;
            }
        };
        (work.failures, work.error) = (0, None);
        self.api_answered();
        // Otherwise the watch has shown it already.
        if step == Step::Restarted && !requests.is_empty() {
            let events = requests.values().flat_map(Request::events);
            let events: Vec<_> = events.collect();
            self.rollout_started(now, workload, &over.version, &events);
        }
        self.restarts.rollouts.leave(workload);
        let failure = failure.as_deref().map(|error| (Reason::Refused, error));
        for (version, request) in requests {
            self.end_restart(now, workload, version, &request, step, failure);
        }
        let work = self.restarts.workloads.get(workload);
        let state = work.and_then(|work| work.state.clone());
        self.rollout_shown(now, workload, state.as_ref());
        self.review(now, workload);
    }

    /// Not tried again: see [`Self::stop_rest`].
    fn end_what_was_stopped(&mut self, now: Duration, workload: &ObjectRef) {
        let work = self.restarts.workloads.get(workload);
        let waiting = work.into_iter().flat_map(|work| &work.waiting);
        let stopped = waiting.filter(|(_, request)| request.is_stopped());
        let stopped: Vec<_> = stopped.map(|(version, _)| *version).collect();
        for version in stopped {
            self.do_not_restart(now, workload, version, NotRestarted::RolloutFailed, None);
        }
    }

    /// The watch decides what is patched next: the object may have changed, or carry the restart already.
    fn retry_restart(
        &mut self,
        now: Duration,
        workload: &ObjectRef,
        fault: Fault,
        after: Option<Duration>,
        error: String,
    ) {
        let Some(work) = self.restarts.workloads.get_mut(workload) else {
            return;
        };
        work.failures += 1;
        work.error = Some(error);
        work.phase = Phase::BackingOff;
        let failures = work.failures;
        let backoff = match fault {
            Fault::Cluster => {
                self.api_failed(now);
                CLUSTER
            }
            Fault::Object | Fault::Permission => {
                self.api_answered();
                TARGET
            }
        };
        if self.stopping {
            return;
        }
        let rest = backoff.delay(failures, &mut self.rng);
        let until = now.saturating_add(rest.max(after.unwrap_or_default()));
        self.timers.set(Timer::Restart(workload.clone()), until);
    }
}
