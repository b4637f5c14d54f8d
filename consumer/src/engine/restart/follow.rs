//! From the sync of a target to the restarts that follow it.

use std::time::Duration;

use eso_relay::stream::Reason;

use super::{
    super::{
        Engine, NotRestarted,
        held::{Place, RestartId, Version},
        timers::Timer,
    },
    Request,
};
use crate::object::{ObjectRef, Sequence};

impl Engine {
    /// ESO has synced a mark of the target, which these deliveries waited for.
    pub(in super::super) fn target_synced(
        &mut self,
        now: Duration,
        target: &ObjectRef,
        followers: Vec<Sequence>,
    ) {
        for sequence in followers {
            for (workload, index) in self.take_following(sequence, target) {
                let version = Version { sequence, index };
                if let Some(request) = self.restarts.request(&workload, version) {
                    request.synced(target);
                }
                self.review(now, &workload);
            }
        }
    }

    /// ESO has had its time for the target.
    pub(in super::super) fn target_is_late(
        &mut self,
        now: Duration,
        target: &ObjectRef,
        followers: &[Sequence],
    ) {
        for sequence in followers {
            let delivery = self.in_progress.get(sequence);
            let following = delivery.and_then(|delivery| delivery.follows.get(target));
            for (workload, index) in following.into_iter().flatten() {
                let version = Version {
                    sequence: *sequence,
                    index: *index,
                };
                if let Some(request) = self.restarts.request(workload, version) {
                    request.delay(target);
                }
            }
            self.try_complete(now, *sequence);
        }
    }

    /// No mark of the target will be synced for these deliveries. What is gone is not waited for; otherwise the
    /// workload would read the old value again.
    pub(in super::super) fn target_ended(
        &mut self,
        now: Duration,
        target: &ObjectRef,
        followers: Vec<Sequence>,
        why: NotRestarted,
    ) {
        for sequence in followers {
            for (workload, index) in self.take_following(sequence, target) {
                let version = Version { sequence, index };
                let Some(request) = self.restarts.request(&workload, version) else {
                    continue;
                };
                request.end(target);
                if why != NotRestarted::Gone || request.has_lost_all() {
                    self.do_not_restart(now, &workload, version, why, None);
                }
                self.review(now, &workload);
            }
        }
    }

    fn take_following(&mut self, sequence: Sequence, target: &ObjectRef) -> Vec<RestartId> {
        let delivery = self.in_progress.get_mut(&sequence);
        let following = delivery.and_then(|delivery| delivery.follows.remove(target));
        following.unwrap_or_default()
    }

    /// `restart.give_up_after` is over for the delivery.
    pub(in super::super) fn sync_is_overdue(&mut self, now: Duration, sequence: Sequence) {
        let place = self.in_progress.get(&sequence).map(|it| it.place);
        match place {
            Some(Place::Here) => {
                if self.not_synced(now, sequence) {
                    self.try_complete(now, sequence);
                }
            }
            // A dead letter needs the body.
            Some(Place::Parked) => self.recall(now, sequence),
            Some(Place::Recalled) | None => {}
        }
    }

    /// If it is time, makes dead letters of the events whose restarts still wait for ESO. A target that is not patched
    /// yet has its time after the patch. Returns whether anything has ended.
    pub(in super::super) fn not_synced(&mut self, now: Duration, sequence: Sequence) -> bool {
        let give_up_after = self.settings.restart.give_up_after;
        let Some(delivery) = self.in_progress.get_mut(&sequence) else {
            return false;
        };
        if now < delivery.sync_due {
            return false;
        }
        let (mut over, mut later) = (Vec::new(), false);
        for (workload, index) in &delivery.restarts {
            let version = Version {
                sequence,
                index: *index,
            };
            let request = self.restarts.request(workload, version);
            let pending = |request: &Request| request.follows().next().cloned();
            let Some(target) = request.as_deref().and_then(pending) else {
                continue;
            };
            let mut follows = request.iter().flat_map(|request| request.follows());
            if follows.any(|target| delivery.open.contains_key(target)) {
                later = true;
            } else {
                over.push((workload.clone(), version, target));
            }
        }
        delivery.sync_due = Duration::MAX;
        if later {
            delivery.sync_due = now.saturating_add(give_up_after);
            self.timers
                .set(Timer::NotSynced(sequence), delivery.sync_due);
        }
        let any = !over.is_empty();
        for (workload, version, target) in over {
            let error = format!(
                "{workload} not restarted: ESO has not synced {target} within {give_up_after:?}"
            );
            let failure = Some((Reason::NotSynced, error.as_str()));
            self.do_not_restart(now, &workload, version, NotRestarted::NotSynced, failure);
            self.review(now, &workload);
        }
        any
    }
}
