//! Restarts: what the API answers, and what was promised.

use eso_relay::event::Fingerprint;

use super::{
    super::{Input, NotRestarted, Output, Step},
    Order,
    cluster::{object, order},
    replica::{Holding, Replica},
    workload::{RestartPatch, Workload, workload},
    world::World,
};
use crate::object::{Fault, ObjectRef, Outcome, Rollout, Stage, WorkloadState};

impl World {
    pub(super) fn start_restart(&mut self, at: usize, output: &Output) {
        let Output::Restart {
            workload,
            events,
            over,
        } = output
        else {
            return;
        };
        let (replica, workload) = (&mut self.replicas[at], object(workload));
        replica.restarting.insert(workload);
        self.cluster.restarts.push(RestartPatch {
            process: replica.process,
            workload,
            events: events.clone(),
            over: over.clone(),
        });
    }

    pub(super) fn answer_a_restart(&mut self) {
        if self.cluster.restarts.is_empty() {
            return;
        }
        let any = self.rng.usize(..self.cluster.restarts.len());
        let patch = self.cluster.restarts.swap_remove(any);
        let outcome = self.restart_outcome(&patch);
        let (number, now) = (patch.workload, self.now);
        let replica = self.replicas.iter_mut();
        let Some(replica) = { replica }.find(|it| it.process == patch.process) else {
            return;
        };
        replica.restarting.remove(&number);
        match &outcome {
            Outcome::Retry {
                fault: Fault::Cluster,
                ..
            } => replica.health.fault(now),
            _ => replica.health.answer(),
        }
        if outcome == Outcome::Done {
            let over = patch.over.version.parse().unwrap();
            replica.rolling.insert(number, (over, now));
        }
        let shown = replica.workloads[number].clone();
        replica.show_workload(number, shown);
        let input = Input::Restarted {
            workload: workload(number),
            outcome,
        };
        self.tell(patch.process, input);
    }

    fn restart_outcome(&mut self, patch: &RestartPatch) -> Outcome {
        let retry = |fault| Outcome::Retry {
            fault,
            after: None,
            error: "not now".to_owned(),
        };
        if self.cluster.is_away || self.rng.f64() < self.plan.cluster_faults {
            if self.rng.u8(..3) == 0 {
                self.apply_restart(patch);
            }
            return retry(Fault::Cluster);
        }
        let workload = &self.cluster.workloads[patch.workload];
        if !workload.exists {
            return Outcome::Gone;
        }
        if workload.forbidden {
            return retry(Fault::Permission);
        }
        if workload.refuses {
            return Outcome::Refused {
                error: "denied".to_owned(),
            };
        }
        if self.apply_restart(patch) {
            Outcome::Done
        } else {
            retry(Fault::Object)
        }
    }

    fn apply_restart(&mut self, patch: &RestartPatch) -> bool {
        let changed = self.cluster.workloads[patch.workload].apply(patch);
        if changed {
            self.show_workload(patch.workload);
        }
        changed
    }

    fn show_workload(&mut self, number: usize) {
        let state = self.cluster.workloads[number].shows();
        for replica in &mut self.replicas {
            if self.rng.f64() >= self.plan.watch_losses {
                replica.workload_watch.push_back((number, state.clone()));
            }
        }
    }

    /// The watch shows each replica the next change of a workload.
    pub(super) fn watch_workloads(&mut self) {
        for process in self.processes() {
            let replica = self.replicas.iter_mut().find(|it| it.process == process);
            let Some((replica, (number, state))) =
                replica.and_then(|it| it.workload_watch.pop_front().map(|event| (it, event)))
            else {
                continue;
            };
            replica.show_workload(number, state.clone());
            let input = Input::Workload {
                workload: workload(number),
                state,
            };
            self.tell(process, input);
        }
    }

    /// Something happens to a workload: its rollout ends, somebody else changes it, it comes or goes.
    pub(super) fn roll_out(&mut self) {
        if self.cluster.workloads.is_empty() {
            return;
        }
        let number = self.rng.usize(..self.cluster.workloads.len());
        let (calm, what) = (self.plan.calm, self.rng.u8(..12));
        let bad = self.rng.f64() < self.plan.bad_rollouts;
        let workload = &mut self.cluster.workloads[number];
        match what {
            0 | 1 => {}
            2 if !calm => workload.forbidden ^= true,
            3 if !calm => workload.refuses ^= true,
            4 if !calm => workload.toggle(),
            _ if bad && workload.rollout == Rollout::Rolling => {
                workload.rollout = Rollout::Failed;
            }
            _ => workload.rollout = Rollout::Done,
        }
        workload.version += 1;
        self.show_workload(number);
    }

    pub(super) fn roll_out_all(&mut self) {
        for number in 0..self.cluster.workloads.len() {
            let workload = &mut self.cluster.workloads[number];
            if workload.rollout != Rollout::Done {
                workload.rollout = Rollout::Done;
                workload.version += 1;
                self.show_workload(number);
            }
        }
    }

    /// A step of an event was reported.
    pub(super) fn note_step(&mut self, at: usize, target: &ObjectRef, event: Order, step: Step) {
        let (replica, pair) = (&mut self.replicas[at], (object(target), event));
        match step {
            Step::NotRestarted(NotRestarted::Superseded) | Step::Restarted => {}
            Step::NotRestarted(_) => {
                self.not_restarted.insert(pair);
            }
            _ => return replica.reported(pair.0, event, step),
        }
        *replica.unrestarted.entry(pair).or_default() -= 1;
    }

    pub(super) fn check_restart(
        &self,
        replica: &Replica,
        number: usize,
        events: &[Fingerprint],
        over: &WorkloadState,
    ) {
        assert!(!replica.stopping, "a restart starts after the stop");
        assert!(!replica.health.away, "a restart while the API is away");
        assert!(
            !replica.restarting.contains(&number),
            "two restarts of one workload"
        );
        let rolling = replica.rolling(self.now) + replica.restarting.len();
        let both = replica.restarting.iter();
        let both = both.filter(|number| replica.rolling.contains_key(number));
        let most = self.plan.settings.restart.concurrency;
        // Its pods are replaced already, for a restart by another replica or one whose answer was lost.
        let has_place = replica.rolling.contains_key(&number) || over.rollout == Rollout::Rolling;
        assert!(
            has_place || rolling - both.count() < most,
            "more than {most} roll out"
        );
        for event in events {
            assert!(!over.marks.contains(*event), "it was restarted for it");
            let pair = (number, order(*event));
            let follows = replica.follows.get(&pair);
            for object in follows.expect("a restart that nothing asked for") {
                assert!(
                    self.is_synced(*object, pair.1),
                    "a restart for {pair:?} before the sync of {object}"
                );
            }
        }
        for (other, state) in replica.workloads.iter().enumerate() {
            let failed = |state: &&WorkloadState| {
                let known = |it: &Fingerprint| replica.follows.contains_key(&(other, order(*it)));
                let all = |it: &Fingerprint| state.marks.contains(*it) && known(it);
                other != number && state.rollout == Rollout::Failed && events.iter().all(all)
            };
            let failed = state.as_ref().filter(failed);
            assert_eq!(failed, None, "it goes on after a failed rollout");
        }
    }

    /// Whether ESO has synced the object since the mark of the event, and since the second where it settles; or there
    /// is nothing to sync.
    fn is_synced(&self, object: usize, event: Order) -> bool {
        if self.cluster.was_ever_gone(object) {
            return true;
        }
        let settle = self.settle(object, event);
        let writes = &self.cluster.objects[object].writes;
        let mut writes = writes.iter().filter(|write| write.order >= event);
        match settle {
            None => writes.any(|write| write.synced),
            Some(settle) => {
                let Some(first) = writes.clone().next() else {
                    return false;
                };
                let mut seconds = writes.filter(|write| write.stage == Stage::Settled);
                seconds.any(|write| write.synced && write.at >= first.at + settle)
            }
        }
    }

    pub(super) fn check_restart_step(
        &self,
        replica: &Replica,
        number: usize,
        event: Order,
        step: Step,
    ) {
        let Workload {
            restarted,
            was_ever_gone,
            ..
        } = &self.cluster.workloads[number];
        let right = match step {
            // A newer event may answer for it.
            Step::Restarted => restarted.range(event..).next().is_some() || *was_ever_gone,
            Step::NotRestarted(NotRestarted::Gone) => {
                let mut objects = replica.follows[&(number, event)].iter();
                *was_ever_gone || objects.any(|object| self.cluster.was_ever_gone(*object))
            }
            Step::NotRestarted(NotRestarted::RolloutFailed) => self.plan.workloads.len() > 1,
            Step::NotRestarted(_) => true,
            _ => false,
        };
        assert!(
            right,
            "{event:?} at workload {number} is said to be {step:?}"
        );
    }

    /// Every restart is written, skipped with a reason, or answered for by a newer event.
    pub(super) fn check_restarts_before_ack(&self, sequence: u64, holding: &Holding) {
        for pair in &holding.restarts {
            assert!(
                self.is_restarted(*pair) || self.restart_answers.contains_key(pair),
                "message {sequence} is acked before its restart {pair:?}"
            );
        }
    }

    fn is_restarted(&self, pair: (usize, Order)) -> bool {
        let (number, event) = pair;
        let workload = &self.cluster.workloads[number];
        workload.restarted.contains(&event)
            || workload.was_ever_gone
            || self.not_restarted.contains(&pair)
    }

    /// If a delivery does not wait for a restart any more, a newer event may answer for it.
    pub(super) fn note_restart_answers(&mut self, at: usize) {
        let replica = &self.replicas[at];
        let mut answers = Vec::new();
        for (sequence, holding) in &replica.held {
            let delivery = replica.engine.in_progress.get(sequence);
            for (number, event) in &holding.restarts {
                let waits = delivery.is_some_and(|delivery| {
                    let id = (workload(*number), event.1);
                    delivery.restarts.contains(&id)
                });
                let newer = replica.held.values().flat_map(|it| &it.restarts);
                let newer = newer.filter(|(at, newer)| at == number && newer > event);
                let newer = newer.map(|(_, newer)| *newer).max();
                if let (false, Some(newer)) = (waits, newer) {
                    answers.push(((*number, *event), newer));
                }
            }
        }
        self.restart_answers.extend(answers);
    }

    fn restart_is_over(&self, pair: (usize, Order)) -> bool {
        let dead = &self.server.message(pair.1.0).dead;
        let newer = self.restart_answers.get(&pair);
        self.is_restarted(pair)
            || dead.contains(&None)
            || dead.contains(&Some(pair.1.1))
            || newer.is_some_and(|newer| self.restart_is_over((pair.0, *newer)))
    }

    /// At the end each restart that a message asked for is over.
    pub(super) fn judge_restarts(&self) {
        for replica in &self.replicas {
            for pair in replica.follows.keys() {
                assert!(self.restart_is_over(*pair), "{pair:?} never restarted");
            }
        }
    }
}
