//! The window: how many rollouts may be under way, and what follows from their ends.

use std::{collections::HashMap, mem, time::Duration};

use eso_relay::event::Fingerprint;

use super::{
    super::{Engine, NotRestarted, Output, RolloutResult, timers::Timer},
    Phase, Request,
};
use crate::object::{ObjectRef, RestartMarks, Rollout, WorkloadState};

/// A rollout that reports no end leaves its place after so long: later than the default deadline of a Deployment
/// (10 min without progress), which still stops the rest of its event.
const LONGEST: Duration = Duration::from_secs(15 * 60);

#[derive(Debug, Default)]
pub(super) struct Rollouts(HashMap<ObjectRef, Place>);

/// The place of one workload: it has one from the start of its restart until the end of the rollout.
#[derive(Debug, Default)]
struct Place {
    /// `None`: the patch is in flight.
    rolling: Option<Rolling>,
}

#[derive(Debug)]
struct Rolling {
    /// The version that was patched: only another one shows the rollout.
    over: Box<str>,
    since: Duration,
    /// The newest events that it is for.
    events: RestartMarks,
}

impl Rollouts {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn has(&self, workload: &ObjectRef) -> bool {
        self.0.contains_key(workload)
    }

    /// The restart of the workload starts.
    pub(super) fn enter(&mut self, workload: &ObjectRef) {
        self.0.entry(workload.clone()).or_default();
    }

    /// The restart has failed: an earlier rollout may still be under way.
    pub(super) fn leave(&mut self, workload: &ObjectRef) {
        self.0
            .retain(|other, place| other != workload || place.rolling.is_some());
    }

    /// Returns the workloads that had a place.
    pub(super) fn take(&mut self) -> impl Iterator<Item = ObjectRef> + use<> {
        mem::take(&mut self.0).into_keys()
    }
}

impl Engine {
    /// The workload was patched over this version for these events.
    pub(super) fn rollout_started(
        &mut self,
        now: Duration,
        workload: &ObjectRef,
        over: &str,
        events: &[Fingerprint],
    ) {
        if self.stopping {
            return;
        }
        self.restarts.rollouts.enter(workload);
        let Some(place) = self.restarts.rollouts.0.get_mut(workload) else {
            return;
        };
        let before = place.rolling.take().map(|rolling| rolling.events);
        place.rolling = Some(Rolling {
            over: over.into(),
            since: now,
            events: before.unwrap_or_default().with(events),
        });
        let until = now.saturating_add(LONGEST);
        self.timers.set(Timer::Rollout(workload.clone()), until);
    }

    /// The watch has shown the workload, perhaps at the end of its rollout.
    pub(super) fn rollout_shown(
        &mut self,
        now: Duration,
        workload: &ObjectRef,
        state: Option<&WorkloadState>,
    ) {
        let Some(place) = self.restarts.rollouts.0.get_mut(workload) else {
            return;
        };
        let Some(state) = state else {
            return self.end_rollout(now, workload);
        };
        let result = match state.rollout {
            Rollout::Done => RolloutResult::Done,
            Rollout::Failed => RolloutResult::Failed,
            Rollout::Rolling => return,
        };
        let is_shown = |rolling: &mut Rolling| rolling.over != state.version;
        let Some(rolling) = place.rolling.take_if(is_shown) else {
            return;
        };
        let events: Vec<_> = rolling.events.iter().collect();
        self.outputs.push_back(Output::Rollout {
            workload: workload.clone(),
            events: events.clone(),
            result,
            after: now.saturating_sub(rolling.since),
        });
        self.end_rollout(now, workload);
        if result == RolloutResult::Failed {
            self.stop_rest(now, workload, &events);
        }
    }

    pub(in super::super) fn rollout_overdue(&mut self, now: Duration, workload: &ObjectRef) {
        self.end_rollout(now, workload);
    }

    /// The place is free, unless the next restart of the workload is in flight.
    fn end_rollout(&mut self, now: Duration, workload: &ObjectRef) {
        self.timers.cancel(&Timer::Rollout(workload.clone()));
        let work = self.restarts.workloads.get(workload);
        let in_flight = work.is_some_and(|work| matches!(work.phase, Phase::Patching { .. }));
        if let Some(place) = self.restarts.rollouts.0.get_mut(workload) {
            place.rolling = None;
        }
        if !in_flight {
            self.restarts.rollouts.leave(workload);
        }
        // Its next restart needs a place from now on.
        self.schedule(now, workload);
    }

    /// The other workloads that wait for these events are not restarted for them.
    pub(super) fn stop_rest(&mut self, now: Duration, failed: &ObjectRef, events: &[Fingerprint]) {
        let mut stopped = Vec::new();
        let is_of_them = |request: &Request| request.own().all(|it| events.contains(&it));
        let others = self.restarts.workloads.iter_mut();
        for (workload, work) in others.filter(|(workload, _)| *workload != failed) {
            if let Phase::Patching { requests, .. } = &mut work.phase {
                let requests = requests.values_mut();
                let rest = requests.filter(|request| is_of_them(request));
                rest.for_each(Request::stop);
            }
            let rest = work.waiting.iter();
            let rest = rest.filter(|(_, request)| is_of_them(request));
            stopped.extend(rest.map(|(version, _)| (workload.clone(), *version)));
        }
        for (workload, version) in stopped {
            self.do_not_restart(now, &workload, version, NotRestarted::RolloutFailed, None);
            self.review(now, &workload);
        }
    }
}
