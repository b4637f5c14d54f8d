//! The API answers patches and probes, and the watch shows the changes.

use std::time::Duration;

use super::{
    super::Input,
    cluster::{Patch, Seen, Stuck, object, order, target},
    plan::Strips,
    replica::Replica,
    workload::Workload,
    world::World,
};
use crate::object::{Fault, Outcome, Steps};

impl World {
    pub(super) fn answer_a_patch(&mut self) {
        let answerable = self.cluster.answerable(self.now);
        if !answerable.is_empty() {
            let any = self.rng.usize(..answerable.len());
            self.answer(answerable[any]);
        }
    }

    pub(super) fn answer(&mut self, any: usize) {
        let patch = self.cluster.patches.swap_remove(any);
        let outcome = self.outcome(patch);
        let now = self.now;
        let Some(replica) = self
            .replicas
            .iter_mut()
            .find(|it| it.process == patch.process)
        else {
            return;
        };
        replica.in_flight.retain(|it| *it != patch);
        replica.suspects.remove(&patch.object);
        replica.answered(patch.object, &outcome);
        match &outcome {
            Outcome::Retry {
                fault: Fault::Cluster,
                after,
                ..
            } => {
                replica.health.fault(now);
                if let Some(after) = after {
                    replica.not_before.insert(patch.object, now + *after);
                }
            }
            Outcome::Gone => {
                replica.health.answer();
                let older = replica.held.keys().filter(|it| **it <= patch.order.0);
                replica.gone.extend(older.map(|it| (patch.object, *it)));
            }
            _ => replica.health.answer(),
        }
        let input = Input::Patched {
            target: target(patch.object),
            value: patch.value(),
            outcome,
        };
        self.tell(patch.process, input);
    }

    pub(super) fn answer_a_probe(&mut self) {
        let Some(process) = self.cluster.probes.pop() else {
            return;
        };
        let answered = !self.cluster.is_away && self.rng.f64() >= self.plan.cluster_faults;
        if let Some(replica) = self.replicas.iter_mut().find(|it| it.process == process) {
            replica.health.probed(self.now, answered);
            self.tell(process, Input::Probed { answered });
        }
    }

    fn outcome(&mut self, patch: Patch) -> Outcome {
        let retry = |fault, after| Outcome::Retry {
            fault,
            after,
            error: "not now".to_owned(),
        };
        if self.cluster.is_away || self.rng.f64() < self.plan.cluster_faults {
            match self.rng.u8(..5) {
                0 => self.apply(patch),
                1 if !self.plan.calm => self.cluster.late.push(patch),
                2 => self.reset(patch),
                _ => {}
            }
            let after = (self.rng.u8(..5) == 0).then_some(Duration::from_secs(7));
            return retry(Fault::Cluster, after);
        }
        let object = &mut self.cluster.objects[patch.object];
        if !object.exists {
            return Outcome::Gone;
        }
        if object.forbidden {
            return retry(Fault::Object, Some(Duration::from_secs(60)));
        }
        match object.stuck {
            Some(Stuck::Error | Stuck::Hangs) => return retry(Fault::Cluster, None),
            Some(Stuck::Forbidden) => {
                return retry(Fault::Object, Some(Duration::from_secs(60)));
            }
            None => {}
        }
        if object.refuses {
            object.refused = object.refused.max(Some(patch.order));
            return Outcome::Refused {
                error: "denied".to_owned(),
            };
        }
        if self.rng.f64() < self.plan.target_faults {
            return retry(Fault::Object, None);
        }
        self.apply(patch);
        Outcome::Done
    }

    fn apply(&mut self, patch: Patch) {
        self.reset(patch);
        self.cluster.apply(self.now, patch);
        self.show(patch.object);
        if self.strips(patch.object) && self.rng.bool() {
            self.remove_mark(patch.object);
        }
    }

    /// The first of two steps, where it is permitted.
    fn reset(&mut self, patch: Patch) {
        let object = &self.cluster.objects[patch.object];
        let takes_it = object.exists && !object.refuses && !self.plan.resets_refused;
        if patch.steps == Steps::Two && takes_it {
            self.cluster.reset(patch.object);
            self.show(patch.object);
        }
    }

    fn strips(&self, object: usize) -> bool {
        self.plan.strips[object] != Strips::None
    }

    /// Removes one annotation.
    pub(super) fn strip(&mut self) {
        let object = self.rng.usize(..self.plan.objects);
        if self.strips(object) {
            self.remove_mark(object);
        }
    }

    pub(super) fn remove_mark(&mut self, object: usize) {
        self.cluster.strip(object);
        self.show(object);
    }

    pub(super) fn apply_late(&mut self) {
        if let Some(patch) = self.cluster.late.pop() {
            self.apply(patch);
        }
    }

    /// ESO reconciles an object.
    pub(super) fn look(&mut self) {
        let object = self.rng.usize(..self.plan.objects);
        let (interval, fails) = (self.rng.u8(..8) == 0, self.rng.u8(..4) == 0);
        if self.cluster.look(object, interval, fails) {
            self.show(object);
        }
    }

    /// Removes every annotation that another controller removes, and then ESO reconciles what has changed.
    pub(super) fn look_at_all(&mut self) {
        for object in 0..self.plan.objects {
            if self.strips(object) && self.cluster.objects[object].annotation.is_some() {
                self.remove_mark(object);
            }
            if self.cluster.look(object, false, false) {
                self.show(object);
            }
        }
    }

    pub(super) fn show(&mut self, object: usize) {
        for replica in &mut self.replicas {
            if self.rng.f64() >= self.plan.watch_losses {
                replica
                    .watch
                    .push_back((object, self.cluster.shows(object)));
            }
        }
    }

    pub(super) fn watch(&mut self) {
        self.watch_workloads();
        for process in self.processes() {
            let replica = self.replicas.iter_mut().find(|it| it.process == process);
            let Some((replica, (object, seen))) =
                replica.and_then(|it| it.watch.pop_front().map(|event| (it, event)))
            else {
                continue;
            };
            let target = target(object);
            let input = match seen {
                Seen::Carries(value, sync, version) => {
                    let known = &mut replica.cache[object];
                    if known.is_none() {
                        replica.appeared.insert(object);
                    }
                    let shown = known.get_or_insert_default();
                    let lost = shown.show(value, sync, version.into());
                    let sync = shown.sync;
                    let lost = lost.filter(|_| !self.plan.resets_refused);
                    replica.lost.extend(lost.map(|value| (object, value)));
                    Input::Observed {
                        target,
                        value,
                        sync,
                    }
                }
                Seen::Gone => {
                    replica.cache[object] = None;
                    Input::Deleted(target)
                }
            };
            self.tell(process, input);
            self.match_recent(process);
        }
    }

    /// Matches accepted messages with the objects that have appeared since.
    pub(super) fn match_recent(&mut self, process: u64) {
        let alive = |it: &&mut Replica| it.process == process && !it.stopping;
        let Some(replica) = self.replicas.iter_mut().find(alive) else {
            return;
        };
        let appeared = std::mem::take(&mut replica.appeared);
        let lost = std::mem::take(&mut replica.lost);
        let lost: Vec<_> = lost
            .into_iter()
            .filter(|(object, value)| replica.engine.expects(&target(*object), *value))
            .map(|(object, value)| (object, order(value.event)))
            .collect();
        for (sequence, attempt) in replica.taken.clone() {
            let Some(replica) = self.replicas.iter_mut().find(alive) else {
                return;
            };
            let message = self.server.message(sequence);
            let mut late = replica.matched(self.now, sequence, attempt, 0, message, &self.plan);
            late.rejected.clear();
            late.restarts.clear();
            let mut again = late.clone();
            late.refreshes
                .retain(|refresh| appeared.contains(&object(&refresh.target)));
            again.refreshes.retain(|refresh| {
                let object = object(&refresh.target);
                let mut lost = lost.iter();
                !appeared.contains(&object)
                    && lost.any(|(at, order)| (*at, order.0) == (object, sequence))
            });
            if !late.refreshes.is_empty() {
                if replica.engine.is_dead_lettering(sequence) {
                    replica.appeared.extend(&appeared);
                } else {
                    replica.expect_report(&late);
                    replica.hold_late(self.now, &late);
                    self.tell(process, Input::Late(late));
                }
            }
            let Some(replica) = self.replicas.iter_mut().find(alive) else {
                return;
            };
            if !again.refreshes.is_empty() && !replica.engine.is_dead_lettering(sequence) {
                replica.hold_late(self.now, &again);
                self.tell(process, Input::Rewrite(again));
            }
        }
    }

    pub(super) fn relist(&mut self) {
        for replica in &mut self.replicas {
            let all = (0..self.plan.objects).map(|object| (object, self.cluster.shows(object)));
            replica.watch = all.collect();
            let all = self.cluster.workloads.iter().map(Workload::shows);
            replica.workload_watch = all.enumerate().collect();
        }
    }
}
