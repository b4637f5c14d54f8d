//! The API answers patches, and the watch shows what they did.

use std::time::Duration;

use super::{
    super::Input,
    cluster::{Patch, Seen, object, target},
    replica::Replica,
    world::World,
};
use crate::{
    outcome::{Fault, Outcome},
    target::Target,
};

impl World {
    pub(super) fn answer_a_patch(&mut self) {
        if !self.cluster.patches.is_empty() {
            let any = self.rng.usize(..self.cluster.patches.len());
            self.answer(any);
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
        replica.answered(patch.object, &outcome);
        match &outcome {
            Outcome::Retry {
                fault: Fault::Cluster,
                after,
                ..
            } => {
                replica.faults_in_a_row += 1;
                if let Some(after) = after {
                    replica.not_before.insert(patch.object, now + *after);
                }
            }
            Outcome::Gone => {
                replica.faults_in_a_row = 0;
                let older = replica.held.keys().filter(|it| **it <= patch.order.0);
                replica.gone.extend(older.map(|it| (patch.object, *it)));
            }
            _ => replica.faults_in_a_row = 0,
        }
        let input = Input::Patched {
            target: target(patch.object),
            value: patch.value(),
            outcome,
        };
        self.tell(patch.process, input);
    }

    fn outcome(&mut self, patch: Patch) -> Outcome {
        let retry = |fault, after| Outcome::Retry {
            fault,
            after,
            error: "not now".to_owned(),
        };
        if self.cluster.is_away || self.rng.f64() < self.plan.cluster_faults {
            match self.rng.u8(..4) {
                0 => self.apply(patch),
                1 if !self.plan.calm => self.cluster.late.push(patch),
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
            return retry(Fault::Target, Some(Duration::from_secs(60)));
        }
        if object.refuses {
            object.refused = object.refused.max(Some(patch.order));
            return Outcome::Refused {
                error: "denied".to_owned(),
            };
        }
        if self.rng.f64() < self.plan.target_faults {
            return retry(Fault::Target, None);
        }
        self.apply(patch);
        Outcome::Done
    }

    fn apply(&mut self, patch: Patch) {
        self.cluster.apply(self.now, patch);
        self.show(patch.object);
    }

    pub(super) fn apply_late(&mut self) {
        if let Some(patch) = self.cluster.late.pop() {
            self.apply(patch);
        }
    }

    /// ESO takes up an object.
    pub(super) fn sync(&mut self) {
        let object = self.rng.usize(..self.plan.objects);
        let fails = self.rng.u8(..4) == 0;
        self.cluster.sync(object, fails);
        self.show(object);
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
        for process in self.processes() {
            let replica = self.replicas.iter_mut().find(|it| it.process == process);
            let Some((replica, (object, seen))) =
                replica.and_then(|it| it.watch.pop_front().map(|event| (it, event)))
            else {
                continue;
            };
            let before = std::mem::replace(&mut replica.cache[object], seen);
            if let (Seen::Gone, Seen::Carries(..)) = (before, seen) {
                replica.appeared.insert(object);
            }
            let target = target(object);
            let input = match seen {
                Seen::Carries(value, sync) => Input::Observed {
                    target,
                    value,
                    sync,
                },
                Seen::Gone => Input::Deleted(target),
            };
            self.tell(process, input);
            self.look_back(process);
        }
    }

    /// Whether messages that were taken mean what has appeared since.
    pub(super) fn look_back(&mut self, process: u64) {
        let alive = |it: &&mut Replica| it.process == process && !it.stopping;
        let Some(replica) = self.replicas.iter_mut().find(alive) else {
            return;
        };
        let appeared = std::mem::take(&mut replica.appeared);
        for (sequence, attempt) in replica.taken.clone() {
            let Some(replica) = self.replicas.iter_mut().find(alive) else {
                return;
            };
            let message = self.server.message(sequence);
            let mut late =
                replica.matched(self.now, sequence, attempt, 0, message, &self.plan.stores);
            late.rejected.clear();
            let is_new = |target: &Target| appeared.contains(&object(target));
            late.refreshes.retain(|refresh| is_new(&refresh.target));
            if late.refreshes.is_empty() {
                continue;
            }
            if replica.engine.is_storing(sequence) {
                replica.appeared.extend(&appeared);
            } else {
                replica.hold_late(self.now, &late);
                self.tell(process, Input::Late(late));
            }
        }
    }

    pub(super) fn relist(&mut self) {
        for replica in &mut self.replicas {
            let all = (0..self.plan.objects).map(|object| (object, self.cluster.shows(object)));
            replica.watch = all.collect();
        }
    }
}
