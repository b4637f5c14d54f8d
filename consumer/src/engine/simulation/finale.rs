//! All faults end, and then everything must complete.

use std::time::Duration;

use super::{
    cluster::{fingerprint, target},
    plan::Strips,
    replica::Replica,
    server::GAP,
    world::World,
};
use crate::object::Stage;

/// Enough for twenty deliveries of a poisonous message, five minutes apart.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);
/// Once all other faults have ended, everything that is not stuck completes within this time.
const SOON: Duration = Duration::from_secs(5 * 60);
/// And within this time the API is known to answer.
const LONGEST_PROBE: Duration = Duration::from_secs(6);

impl World {
    pub(super) fn finish(&mut self) {
        self.end_faults();
        self.go_on_beside_the_stuck();
        for object in &mut self.cluster.objects {
            object.stuck = None;
        }
        let deadline = self.now + PATIENCE;
        while self.now < deadline {
            self.work();
            if self.is_done() {
                return self.judge();
            }
            let next = self.next_event().expect("nothing is scheduled any more");
            self.advance_to(next);
        }
        panic!("it never completes");
    }

    /// When something may happen; a message that is due and finds no room waits for a later wake-up.
    pub(super) fn next_event(&self) -> Option<Duration> {
        let wakes = self.replicas.iter().filter_map(|it| it.engine.wake_at());
        let patches = self.cluster.patches.iter();
        let answers = patches.map(|patch| self.cluster.answers_at(patch));
        let next = wakes.chain(self.server.next_due()).chain(answers).min()?;
        Some(next.max(self.now) + Duration::from_millis(500))
    }

    /// Ends all faults except the stuck objects.
    fn end_faults(&mut self) {
        self.plan.cluster_faults = 0.0;
        self.plan.target_faults = 0.0;
        self.plan.watch_losses = 0.0;
        self.plan.bad_rollouts = 0.0;
        for workload in &mut self.cluster.workloads {
            (workload.forbidden, workload.refuses) = (false, false);
        }
        self.plan.crashes = 0.0;
        self.cluster.is_away = false;
        self.server.takes_dead_letters = true;
        for object in &mut self.cluster.objects {
            object.refuses = false;
            object.forbidden = false;
        }
        self.start_replicas();
        self.relist();
    }

    /// Does everything that can happen now.
    pub(super) fn work(&mut self) {
        loop {
            while let Some(first) = self.cluster.answerable(self.now).first() {
                self.answer(*first);
            }
            while !self.cluster.probes.is_empty() {
                self.answer_a_probe();
            }
            self.store_dead_letters();
            while !self.cluster.restarts.is_empty() {
                self.answer_a_restart();
            }
            while self.replicas.iter().any(Replica::has_news) {
                self.watch();
            }
            let room = self.replicas.iter().find(|it| it.engine.capacity() > 0);
            let due = self.server.available(self.now).first().copied();
            match (room.map(|it| it.process), due) {
                (Some(process), Some(sequence)) => self.deliver_to(process, sequence),
                _ if self.cluster.answerable(self.now).is_empty()
                    && self.cluster.probes.is_empty() =>
                {
                    break;
                }
                _ => {}
            }
        }
        self.look_at_all();
        self.roll_out_all();
    }

    /// An object that always fails delays no other.
    fn go_on_beside_the_stuck(&mut self) {
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

    fn is_done(&self) -> bool {
        let mut messages = self.server.messages();
        messages.all(|(_, message)| message.is_settled())
            && self.replicas.iter().all(|it| {
                it.held.is_empty()
                    && it.in_flight.is_empty()
                    && it.engine.outstanding.len() == 0
                    && it.engine.restarts.len() == 0
                    && !it.engine.is_away()
            })
    }

    fn judge(&self) {
        for replica in &self.replicas {
            let engine = &replica.engine;
            assert!(engine.is_idle() && engine.lanes.waiting() == 0 && engine.timers.len() == 0);
            assert_eq!(engine.wake_at(), None);
            assert_eq!(engine.capacity(), self.plan.settings.max_deliveries);
        }
        let mut newest = vec![None; self.plan.objects];
        for (sequence, message) in self.server.messages() {
            for (index, event) in message.events.iter().enumerate() {
                let dead = message.dead.contains(&None) || message.dead.contains(&Some(index));
                let gone = dead || message.is_removed();
                assert!(gone || !event.undecodable, "an unreadable event vanished");
                for &object in event.objects.iter().filter(|_| !event.undecodable) {
                    let order = (sequence, index);
                    let done = self.is_over(object, order);
                    // An object that was created meanwhile may have been unknown when the event was matched, and the
                    // process may have ended before the watch showed it.
                    let missed = sequence == GAP || message.is_removed();
                    let unseen = self.cluster.was_ever_gone(object) && (self.ended || missed);
                    assert!(done || unseen, "{order:?} never reached {}", target(object));
                    // Its status was reset, so ESO reads it although its annotation is removed.
                    let owned = self.plan.strips[object] == Strips::Owner;
                    let reset = owned && !self.plan.resets_refused;
                    let read = self.cluster.objects[object].synced >= Some(order);
                    assert!(
                        read || !reset
                            || message.is_removed()
                            || self.is_dead(object, order)
                            || self.cluster.was_ever_gone(object),
                        "ESO never read {} for {order:?}",
                        target(object)
                    );
                    if !message.is_removed() {
                        newest[object] = Some(order);
                    }
                }
            }
        }
        self.judge_restarts();
        if self.plan.calm {
            for replica in &self.replicas {
                let mut unreported = replica.unrestarted.iter();
                let unreported = unreported.find(|(_, count)| **count != 0);
                assert_eq!(unreported, None, "a restart is not reported once");
                let unreported = replica.unreported.iter().find(|(_, count)| **count != 0);
                assert_eq!(unreported, None, "an event is not reported once");
            }
            for (object, newest) in newest.into_iter().enumerate() {
                let carried = self.cluster.objects[object].written;
                let event = carried.map(|value| value.event);
                let expected = newest.map(fingerprint);
                assert_eq!(event, expected, "the newest value does not win");
                let settles = newest.is_some_and(|it| self.promise(object, it.0).is_some());
                let stage = carried.map(|value| value.stage);
                // A mark that was removed before ESO looked is written again from its first stage.
                let kept = self.plan.strips[object] == Strips::None;
                assert!(
                    !settles || !kept || stage == Some(Stage::Settled),
                    "it never settled"
                );
            }
        }
    }
}
