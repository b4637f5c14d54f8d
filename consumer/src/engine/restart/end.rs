//! Ends what deliveries wait for.

use std::{collections::BTreeSet, time::Duration};

use eso_relay::stream::Reason;

use super::{
    super::{
        Engine, NotRestarted, Output, Step,
        held::{self, RestartId, Version},
    },
    Request,
};
use crate::object::{ObjectRef, Sequence};

impl Engine {
    /// A delivery does not wait for the restart any more.
    pub(super) fn end_restart(
        &mut self,
        now: Duration,
        workload: &ObjectRef,
        version: Version,
        request: &Request,
        step: Step,
        failure: Option<(Reason, &str)>,
    ) {
        self.unfollow(workload, version, request);
        if let (Some((reason, error)), Some(delivery)) =
            (failure, self.in_progress.get_mut(&version.sequence))
        {
            for index in request.indices() {
                held::reject(&mut delivery.rejections, index, reason, error);
            }
        }
        let since = request.ready_since().filter(|_| step == Step::Restarted);
        let after = since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        for event in request.events() {
            self.outputs.push_back(Output::Step {
                event,
                target: workload.clone(),
                step,
                after,
            });
        }
        self.try_complete(now, version.sequence);
    }

    /// Removes the restart from what its delivery waits for.
    pub(super) fn unfollow(&mut self, workload: &ObjectRef, version: Version, request: &Request) {
        let Some(delivery) = self.in_progress.get_mut(&version.sequence) else {
            return;
        };
        let restart = (workload.clone(), version.index);
        let mut left = Vec::new();
        for target in request.follows() {
            if let Some(following) = delivery.follows.get_mut(target) {
                following.retain(|other| *other != restart);
                if following.is_empty() {
                    delivery.follows.remove(target);
                    left.push(target);
                }
            }
        }
        delivery.restarts.remove(&restart);
        for target in left {
            self.forget_late(target);
        }
    }

    /// `give_up_after` is over for the delivery.
    pub(in super::super) fn give_up_restarts(&mut self, now: Duration, sequence: Sequence) {
        let Some(delivery) = self.in_progress.get(&sequence) else {
            return;
        };
        let after = self.settings.give_up_after;
        for (workload, index) in delivery.restarts.clone() {
            let version = Version { sequence, index };
            let Some(request) = self.restarts.take(&workload, version) else {
                continue;
            };
            let work = self.restarts.workloads.get(&workload);
            let last = work.and_then(|work| work.error.as_deref());
            let last = last.unwrap_or("it was never patched");
            let error = format!("{workload} not restarted within {after:?}: {last}");
            let step = Step::NotRestarted(NotRestarted::GaveUp);
            let failure = Some((Reason::GaveUp, error.as_str()));
            self.end_restart(now, &workload, version, &request, step, failure);
            self.review(now, &workload);
        }
    }

    /// The delivery is handed back: another replica restarts the workloads.
    pub(in super::super) fn withdraw_restarts(
        &mut self,
        now: Duration,
        sequence: Sequence,
        restarts: &BTreeSet<RestartId>,
    ) {
        for (workload, index) in restarts {
            let version = Version {
                sequence,
                index: *index,
            };
            if let Some(request) = self.restarts.take(workload, version) {
                let step = Step::NotRestarted(NotRestarted::Superseded);
                self.steps(workload, request.answered(), step);
            }
            self.review(now, workload);
        }
    }

    pub(super) fn do_not_restart(
        &mut self,
        now: Duration,
        workload: &ObjectRef,
        version: Version,
        why: NotRestarted,
        failure: Option<(Reason, &str)>,
    ) {
        if let Some(request) = self.restarts.take(workload, version) {
            let step = Step::NotRestarted(why);
            self.end_restart(now, workload, version, &request, step, failure);
        }
    }
}
