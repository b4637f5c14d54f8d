//! Restarts the workloads that must see a new value.
//!
//! ```text
//! target synced ─follow─▶ request ready ─gather─▶ Restart, Restarted ─▶ Ack
//!                                          ▲              │
//!                                          window ◀─ rollout done, failed or overdue
//! ```
//!
//! A refresh may be repeated, a restart may not. So a restart carries the events that it is for, is patched over one
//! version of the workload only, and is not started for an event that the workload carries. It promises:
//!
//! - No restart before ESO has synced what the workload reads: after the second mark, where the delivery settles.
//! - No event restarts a workload twice, also after a redelivery or a crash. (A workload carries its newest eight
//!   events: an older one whose ack was lost would not be found.)
//! - At most `restart.concurrency` rollouts are under way that were started here. One that fails stops what still
//!   waits for the same events.
//! - A newer event answers for an older one of the same workload: its restart comes later.
//! - Its memory is bounded by the deliveries and workloads that wait, and by the rollouts under way.

mod end;
mod follow;
mod request;
mod rollout;
mod start;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
    ops::Bound,
    time::Duration,
};

use self::{
    request::{Request, Wanted},
    rollout::Rollouts,
};
use super::{
    Engine, NotRestarted, Restart, Step,
    held::{RestartId, Version},
    timers::Timer,
};
use crate::object::{ObjectRef, Sequence, WorkloadState};

#[derive(Debug, Default)]
pub(super) struct Restarts {
    workloads: HashMap<ObjectRef, Work>,
    /// What may be restarted now, first those that have a place in the window.
    queue: BTreeSet<Turn>,
    rollouts: Rollouts,
}

/// What deliveries wait for at one workload.
type Requests = BTreeMap<Version, Request>;

/// Removes those of which it holds.
fn take(
    requests: &mut Requests,
    holds: impl Fn(&Request) -> bool,
) -> impl Iterator<Item = (Version, Request)> {
    let taken = requests.iter().filter(|(_, request)| holds(request));
    let taken: Vec<_> = taken.map(|(version, _)| *version).collect();
    let taken = taken.into_iter();
    taken.filter_map(|version| requests.remove_entry(&version))
}

/// Exists for as long as a delivery waits for the workload, a restart of it is in flight, or its next one may not
/// start yet.
#[derive(Debug, Default)]
struct Work {
    /// As the watch has shown it last; `None`: it is gone or excluded.
    state: Option<WorkloadState>,
    waiting: Requests,
    phase: Phase,
    restarted: Option<Duration>,
    /// How many patches failed in a row.
    failures: u64,
    error: Option<String>,
}

#[derive(Debug, Default)]
enum Phase {
    /// Waits for a sync, or for its timer.
    #[default]
    Waiting,
    /// In the queue.
    Ready(Turn),
    /// These requests are in flight, unless the watch has shown already that they are done.
    Patching {
        over: WorkloadState,
        requests: Requests,
    },
    /// After a fault, until its timer fires.
    BackingOff,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    /// Whether it needs a place in the window.
    needs_place: bool,
    since: Duration,
    workload: ObjectRef,
}

impl Restarts {
    #[cfg(test)]
    pub(super) fn rolling(&self) -> usize {
        self.rollouts.len()
    }

    /// How many workloads and rollouts it knows.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.workloads.len() + self.rollouts.len()
    }

    /// Whether no delivery waits and no restart is in flight.
    pub(super) fn are_idle(&self) -> bool {
        let mut all = self.workloads.values();
        all.all(|work| work.waiting.is_empty() && !matches!(work.phase, Phase::Patching { .. }))
    }

    pub(super) fn is_in_flight(&self, sequence: Sequence, (workload, index): &RestartId) -> bool {
        let version = Version {
            sequence,
            index: *index,
        };
        let phase = self.workloads.get(workload).map(|work| &work.phase);
        matches!(phase, Some(Phase::Patching { requests, .. }) if requests.contains_key(&version))
    }

    /// Whether each of these waits for a target that ESO has not synced in time.
    pub(super) fn are_late(&self, sequence: Sequence, restarts: &BTreeSet<RestartId>) -> bool {
        restarts.iter().all(|(workload, index)| {
            let version = Version {
                sequence,
                index: *index,
            };
            let work = self.workloads.get(workload);
            let request = work.and_then(|work| work.waiting.get(&version));
            request.is_some_and(Request::is_late)
        })
    }

    fn request(&mut self, workload: &ObjectRef, version: Version) -> Option<&mut Request> {
        self.workloads.get_mut(workload)?.waiting.get_mut(&version)
    }

    /// Removes what a delivery waits for, in flight or not.
    fn take(&mut self, workload: &ObjectRef, version: Version) -> Option<Request> {
        let work = self.workloads.get_mut(workload)?;
        let waiting = work.waiting.remove(&version);
        waiting.or_else(|| match &mut work.phase {
            Phase::Patching { requests, .. } => requests.remove(&version),
            Phase::Waiting | Phase::Ready(_) | Phase::BackingOff => None,
        })
    }
}

impl Engine {
    /// Makes a delivery wait for these restarts, before it waits for its targets. Returns the workloads.
    pub(super) fn want_restarts(
        &mut self,
        now: Duration,
        sequence: Sequence,
        restarts: Vec<Restart>,
    ) -> BTreeMap<ObjectRef, WorkloadState> {
        let mut workloads = BTreeMap::new();
        let delivery = self.in_progress.get_mut(&sequence);
        let Some(delivery) = delivery.filter(|_| !restarts.is_empty()) else {
            return workloads;
        };
        for Wanted {
            workload,
            index,
            follows,
            state,
            mut request,
        } in Wanted::all(now, restarts)
        {
            for target in follows {
                // Nothing will be synced for another.
                if let Some(open) = delivery.open.get(&target) {
                    let settle = open.settle;
                    let following = delivery.follows.entry(target.clone()).or_default();
                    following.push((workload.clone(), index));
                    request.follow(target, settle);
                } else {
                    request.lose();
                }
            }
            let work = self.restarts.workloads.entry(workload.clone()).or_default();
            work.state = Some(state.clone());
            workloads.insert(workload.clone(), state);
            work.waiting.insert(Version { sequence, index }, request);
            delivery.restarts.insert((workload, index));
        }
        delivery.sync_due = now.saturating_add(self.settings.restart.give_up_after);
        self.timers
            .set(Timer::NotSynced(sequence), delivery.sync_due);
        workloads
    }

    /// Continues with the restarts of a delivery, after it waits for its targets.
    pub(super) fn review_restarts(
        &mut self,
        now: Duration,
        workloads: &BTreeMap<ObjectRef, WorkloadState>,
    ) {
        for workload in workloads.keys() {
            self.review(now, workload);
        }
        // A redelivery after a crash finds the rollouts that are under way or have failed.
        for (workload, state) in workloads {
            self.rollout_shown(now, workload, Some(state));
        }
    }

    /// The watch has shown the workload.
    pub(super) fn workload_shown(
        &mut self,
        now: Duration,
        workload: &ObjectRef,
        state: Option<&WorkloadState>,
    ) {
        if let Some(work) = self.restarts.workloads.get_mut(workload) {
            work.state = state.cloned();
        }
        self.review(now, workload);
        self.rollout_shown(now, workload, state);
        self.review(now, workload);
    }

    pub(super) fn restart_due(&mut self, now: Duration, workload: &ObjectRef) {
        if let Some(work) = self.restarts.workloads.get_mut(workload)
            && matches!(work.phase, Phase::BackingOff)
        {
            work.phase = Phase::Waiting;
        }
        self.review(now, workload);
    }

    /// Ends what is over for the workload, and finds out when it may be restarted for the rest.
    fn review(&mut self, now: Duration, workload: &ObjectRef) {
        self.end_what_is_over(now, workload);
        if let Some(work) = self.restarts.workloads.get_mut(workload) {
            work.waiting
                .values_mut()
                .for_each(|request| request.try_ready(now));
        }
        self.answer_older(now, workload);
        self.schedule(now, workload);
    }

    fn end_what_is_over(&mut self, now: Duration, workload: &ObjectRef) {
        let Some(work) = self.restarts.workloads.get_mut(workload) else {
            return;
        };
        let gone = Step::NotRestarted(NotRestarted::Gone);
        let lost: Vec<_> = take(&mut work.waiting, Request::has_lost_all)
            .map(|(version, request)| (version, request, gone))
            .collect();
        let mut ended = Vec::new();
        if let Some(state) = &work.state {
            let marks = &state.marks;
            let is_marked = |request: &Request| marks.contains(request.event());
            let done = take(&mut work.waiting, is_marked);
            ended.extend(done.map(|(version, request)| (version, request, Step::Restarted)));
            if let Phase::Patching { requests, .. } = &mut work.phase {
                let done = take(requests, is_marked);
                ended.extend(done.map(|(version, request)| (version, request, Step::Restarted)));
            }
            if !ended.is_empty() {
                let events = ended.iter().flat_map(|(_, request, _)| request.events());
                let events: Vec<_> = events.collect();
                // Also a rollout that another replica has started counts, until the watch shows its end.
                self.rollout_started(now, workload, "", &events);
            }
        } else {
            let all = mem::take(&mut work.waiting).into_iter();
            ended.extend(all.map(|(version, request)| (version, request, gone)));
        }
        for (version, request, step) in ended.into_iter().chain(lost) {
            self.end_restart(now, workload, version, &request, step, None);
        }
    }

    /// A newer request answers for the older ones whose restart it also is.
    fn answer_older(&mut self, now: Duration, workload: &ObjectRef) {
        let Some(work) = self.restarts.workloads.get_mut(workload) else {
            return;
        };
        let chain = self.settings.restart.gather_at_most;
        let in_progress = &self.in_progress;
        let is_open = |version: Version, target: &ObjectRef| {
            let delivery = in_progress.get(&version.sequence);
            delivery.is_some_and(|delivery| delivery.open.contains_key(target))
        };
        let mut answered = Vec::new();
        for (older_version, older) in work.waiting.iter().rev() {
            let newer = (Bound::Excluded(*older_version), Bound::Unbounded);
            let newer = work.waiting.range(newer);
            let answers = |(_, newer): &(&Version, &Request)| {
                let is_open = |target: &ObjectRef| is_open(*older_version, target);
                // A stream of events must not delay the restart for ever.
                let is_old = older.waits_since().saturating_add(chain) <= now;
                newer.answers_for(older, is_old, is_open)
            };
            if let Some((newer, _)) = newer.rev().find(answers) {
                answered.push((*older_version, *newer));
            }
        }
        // The oldest first: a newer one may be answered for itself.
        for (older_version, newer_version) in answered.into_iter().rev() {
            let Some(work) = self.restarts.workloads.get_mut(workload) else {
                return;
            };
            let Some(older) = work.waiting.remove(&older_version) else {
                continue;
            };
            self.unfollow(workload, older_version, &older);
            if let Some(newer) = self.restarts.request(workload, newer_version) {
                let forgotten = newer.take_over(&older);
                let step = Step::NotRestarted(NotRestarted::Superseded);
                self.steps(workload, &forgotten, step);
            }
            self.try_complete(now, older_version.sequence);
        }
    }

    /// The process ends: nothing more is started, and no rollout is waited for.
    pub(super) fn restart_nothing(&mut self) {
        self.restarts.queue.clear();
        for workload in self.restarts.rollouts.take() {
            self.timers.cancel(&Timer::Rollout(workload));
        }
        let workloads: Vec<_> = self.restarts.workloads.keys().cloned().collect();
        for workload in workloads {
            self.timers.cancel(&Timer::Restart(workload.clone()));
            if let Some(work) = self.restarts.workloads.get_mut(&workload)
                && !matches!(work.phase, Phase::Patching { .. })
            {
                work.phase = Phase::Waiting;
            }
            self.tidy_workload(&workload);
        }
    }
}
