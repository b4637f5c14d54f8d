//! Patches that fail for ever, and what is known of the API as a whole.

use std::time::Duration;

use super::world::World;

/// An object whose patches always fail, whatever the API as a whole does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stuck {
    /// 500, as when its admission webhook is away.
    Error,
    /// No answer before the timeout.
    Hangs,
    /// 403, by a missing role.
    Forbidden,
}

pub(super) const PATCH_TIMEOUT: Duration = Duration::from_secs(5);
/// What is not stuck needs no longer than this, once all other faults have ended.
const SOON: Duration = Duration::from_secs(5 * 60);
/// And by then the API is known to be back.
const LONGEST_PROBE: Duration = Duration::from_secs(6);
const TRUST: Duration = Duration::from_secs(1);

/// What a process may think of the API.
#[derive(Debug, Default)]
pub(super) struct Health {
    faults: u32,
    trusted_until: Duration,
    pub(super) probing: bool,
    pub(super) away: bool,
}

impl Health {
    pub(super) fn fault(&mut self, now: Duration) {
        if !self.away && now >= self.trusted_until {
            self.faults += 1;
        }
    }

    pub(super) fn answer(&mut self) {
        (self.faults, self.away) = (0, false);
    }

    fn probed(&mut self, now: Duration, answered: bool) {
        self.probing = false;
        if answered {
            self.answer();
            self.trusted_until = now + TRUST;
        } else {
            self.away |= self.faults >= 3;
        }
    }

    pub(super) fn may_probe(&self) -> bool {
        !self.probing && (self.away || self.faults >= 3)
    }
}

impl World {
    pub(super) fn answer_a_probe(&mut self) {
        let Some(process) = self.cluster.probes.pop() else {
            return;
        };
        let answered = !self.cluster.is_away && self.rng.f64() >= self.plan.cluster_faults;
        if let Some(replica) = self.replicas.iter_mut().find(|it| it.process == process) {
            replica.health.probed(self.now, answered);
            self.tell(process, super::super::Input::Probed { answered });
        }
    }

    /// An object that always fails delays no other.
    pub(super) fn go_on_beside_the_stuck(&mut self) {
        let is_stuck = |object: usize| self.cluster.objects[object].stuck.is_some();
        if !(0..self.plan.objects).any(is_stuck) {
            return;
        }
        let (back, deadline) = (self.now + LONGEST_PROBE, self.now + SOON * 2);
        while self.now < deadline {
            self.work();
            let mut running = self.replicas.iter().filter(|it| !it.stopping);
            let away = self.now > back && running.any(|it| it.engine.is_away());
            assert!(!away, "an object alone stops the pulling");
            self.advance_to(self.next_event().unwrap_or(deadline).min(deadline));
        }
        self.work();
        for replica in &self.replicas {
            for (sequence, holding) in &replica.held {
                let delayed = self.lost(holding).find(|(object, order)| {
                    let object = &self.cluster.objects[*object];
                    object.stuck.is_none() && object.refused < Some(*order)
                });
                let recent = holding.since + SOON > self.now;
                let waits = delayed.filter(|_| !recent && !holding.panicked);
                assert_eq!(waits, None, "{sequence} waits for another object");
            }
        }
    }
}
