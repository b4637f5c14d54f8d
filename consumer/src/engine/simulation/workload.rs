//! Workloads of the Kubernetes API, and their rollouts.

use std::{collections::BTreeSet, time::Duration};

use eso_relay::event::Fingerprint;

use super::{super::Restart, Order, cluster, plan::Plan, replica::Replica, server::Message};
use crate::{
    engine::Delivery,
    object::{Counter, ObjectRef, RestartMarks, Rollout, WorkloadKind, WorkloadState},
};

#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each of these comes and goes by itself"
)]
pub(super) struct Workload {
    pub(super) exists: bool,
    pub(super) version: u64,
    pub(super) marks: RestartMarks,
    pub(super) rollout: Rollout,
    /// Every event that it was ever restarted for.
    pub(super) restarted: BTreeSet<Order>,
    pub(super) restarts: u64,
    /// The permission to patch it is missing.
    pub(super) forbidden: bool,
    /// An admission policy refuses its changes.
    pub(super) refuses: bool,
    pub(super) was_ever_gone: bool,
}

#[derive(Debug, Clone)]
pub(super) struct RestartPatch {
    pub(super) process: u64,
    pub(super) workload: usize,
    pub(super) events: Vec<Fingerprint>,
    pub(super) over: WorkloadState,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            exists: true,
            version: 1,
            marks: RestartMarks::default(),
            rollout: Rollout::Done,
            restarted: BTreeSet::new(),
            restarts: 0,
            forbidden: false,
            refuses: false,
            was_ever_gone: false,
        }
    }
}

impl Workload {
    pub(super) fn shows(&self) -> Option<WorkloadState> {
        self.exists.then(|| WorkloadState {
            version: self.version.to_string().into(),
            marks: self.marks.clone(),
            counter: Counter::Own,
            restarts: self.restarts,
            rollout: self.rollout,
            interval: None,
        })
    }

    /// Creates it or deletes it.
    pub(super) fn toggle(&mut self) {
        self.version += 1;
        self.exists = !self.exists;
        self.was_ever_gone = true;
        self.marks = RestartMarks::default();
        self.restarted.clear();
        self.rollout = Rollout::Done;
    }

    /// Returns whether the patch changes it.
    pub(super) fn apply(&mut self, patch: &RestartPatch) -> bool {
        let current = *patch.over.version == *self.version.to_string();
        if !self.exists || !current || self.refuses {
            return false;
        }
        for event in &patch.events {
            let order = cluster::order(*event);
            assert!(
                !self.marks.contains(*event) && (self.restarted.insert(order) || self.is_full()),
                "{order:?} restarts {} twice",
                patch.workload
            );
        }
        self.marks = patch.over.marks.with(&patch.events);
        self.version += 1;
        self.restarts += 1;
        self.rollout = Rollout::Rolling;
        true
    }

    /// Whether older events may have been dropped from its marks.
    fn is_full(&self) -> bool {
        self.restarted.len() >= crate::object::MAX_RESTART_MARKS
    }
}

pub(super) fn workload(number: usize) -> ObjectRef {
    ObjectRef::workload(WorkloadKind::Deployment, "team", &number.to_string())
}

impl Replica {
    /// What a message restarts, by what the watch has shown so far.
    pub(super) fn matched_restarts(
        &self,
        sequence: u64,
        message: &Message,
        plan: &Plan,
    ) -> Vec<Restart> {
        let mut restarts = Vec::new();
        let events = message.events.iter().enumerate();
        for (index, event) in events.filter(|(_, it)| it.restarts && !it.undecodable) {
            for (number, reads) in plan.workloads.iter().enumerate() {
                let follows = reads.intersection(&event.objects);
                let follows = follows.filter(|object| self.cache[**object].is_some());
                let follows: Vec<_> = follows.map(|object| cluster::target(*object)).collect();
                let store = reads.is_empty() && event.objects.contains(&0);
                let state = self.workloads[number].clone();
                if let Some(state) = state.filter(|_| store || !follows.is_empty()) {
                    restarts.push(Restart {
                        workload: workload(number),
                        event: cluster::fingerprint((sequence, index)),
                        index,
                        follows,
                        settle: event.settle,
                        state,
                    });
                }
            }
        }
        restarts
    }

    /// Remembers which objects ESO has to sync before each restart.
    pub(super) fn note_follows(&mut self, delivery: &Delivery) {
        for restart in &delivery.restarts {
            let number = cluster::object(&restart.workload);
            let follows = restart.follows.iter().map(cluster::object).collect();
            let order = (delivery.sequence, restart.index);
            self.follows.insert((number, order), follows);
        }
    }

    pub(super) fn has_news(&self) -> bool {
        !self.watch.is_empty() || !self.workload_watch.is_empty()
    }

    /// The watch has shown a workload.
    pub(super) fn show_workload(&mut self, number: usize, state: Option<WorkloadState>) {
        if let Some((over, _)) = self.rolling.get(&number)
            && state.as_ref().is_none_or(|state| {
                let version: u64 = state.version.parse().unwrap();
                version > *over && state.rollout != Rollout::Rolling
            })
            && !self.restarting.contains(&number)
        {
            self.rolling.remove(&number);
        }
        self.workloads[number] = state;
    }

    /// How many rollouts are under way that were started here.
    pub(super) fn rolling(&self, now: Duration) -> usize {
        let recent = |since: &Duration| now < *since + Duration::from_secs(15 * 60);
        let rolling = self.rolling.iter();
        let rolling = rolling
            .filter(|(number, (_, since))| self.restarting.contains(number) || recent(since));
        rolling.count()
    }
}
