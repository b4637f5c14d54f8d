//! Checks the engine's promises on every output and after every input.

use std::collections::BTreeSet;

use eso_relay::stream::{ACK_WAIT, Reason};

use super::{
    super::{Output, Step, held::Place},
    Order,
    cluster::{object, order, target},
    replica::{DeadLetters, Holding, Replica},
    world::World,
};
use crate::object::{Kept, Rejection};

impl World {
    pub(super) fn check_output(&self, at: usize, output: &Output) {
        let replica = &self.replicas[at];
        let held = |sequence: &u64| {
            let holding = replica.held.get(sequence);
            holding.unwrap_or_else(|| panic!("{output:?} for a delivery that is not held"))
        };
        match output {
            Output::Restart {
                workload,
                events,
                over,
            } => self.check_restart(replica, object(workload), events, over),
            Output::Rollout { .. } => {}
            Output::Patch { target, value } => {
                let patched = order(value.event);
                self.check_patch(replica, object(target), patched);
                self.check_stage(replica, object(target), patched, value.stage);
            }
            Output::Ack(sequence) => {
                self.check_ack(*sequence, held(sequence));
                self.check_restarts_before_ack(*sequence, held(sequence));
            }
            Output::Park { sequence, .. } => Self::check_park(replica, *sequence, held(sequence)),
            Output::Nak { sequence, delay } => {
                let holding = held(sequence);
                let failed = holding.panicked || matches!(holding.dead_letters, DeadLetters::Lost);
                assert!(
                    replica.stopping
                        || (failed && delay.is_some())
                        || (holding.parked && delay.is_none()),
                    "needless {output:?}"
                );
            }
            Output::DeadLetter {
                sequence,
                attempt,
                rejections,
            } => {
                self.check_dead_letters(*sequence, *attempt, held(sequence), rejections);
            }
            Output::Term { sequence, reason } => {
                self.check_term(*sequence, *reason, held(sequence));
            }
            Output::Recall(sequence) => assert!(held(sequence).parked && !replica.stopping),
            Output::Progress(sequence) => {
                assert!(!held(sequence).parked, "progress for a parked message");
            }
            Output::Probe => assert!(replica.health.may_probe(), "a needless probe"),
            Output::Step {
                event,
                target,
                step: step @ (Step::Restarted | Step::NotRestarted(_)),
                ..
            } => self.check_restart_step(replica, object(target), order(*event), *step),
            Output::Step {
                event,
                target,
                step,
                ..
            } => self.check_step(object(target), order(*event), *step),
        }
    }

    /// Every reported step is true.
    fn check_step(&self, at: usize, event: Order, step: Step) {
        let object = &self.cluster.objects[at];
        let right = match step {
            Step::Patched | Step::Carried => object.newest >= Some(event),
            Step::Synced => object.synced >= Some(event),
            Step::Superseded => self.has_newer(at, event),
            Step::Refused => object.refused >= Some(event),
            Step::Gone | Step::GaveUp | Step::Failed | Step::Silent => true,
            Step::Restarted | Step::NotRestarted(_) => false,
        };
        assert!(right, "{event:?} is said to be {step:?}");
    }

    fn has_newer(&self, object: usize, event: Order) -> bool {
        let messages = self.server.messages();
        let mut means = messages.flat_map(|(sequence, message)| {
            let events = (0..).zip(&message.events);
            let there = events.filter(|(_, event)| event.objects.contains(&object));
            there.map(move |(index, _)| (sequence, index))
        });
        means.any(|newer| newer > event)
    }

    fn check_patch(&self, replica: &Replica, object: usize, patched: Order) {
        let settings = &self.plan.settings;
        assert!(!replica.stopping, "a patch starts after the stop");
        let mut in_flight = replica.in_flight.iter();
        assert!(
            in_flight.all(|patch| patch.object != object),
            "two patches of one target"
        );
        assert!(!replica.health.away, "a patch while the API is away");
        let failing = replica.failing.contains_key(&object);
        let share = (settings.patches_in_flight / 4).max(1);
        assert!(
            !failing || replica.suspects.len() < share,
            "more than {share} of those that fail are in flight"
        );
        let most = settings.patches_in_flight;
        assert!(
            replica.in_flight.len() < most,
            "more than {most} patches in flight"
        );
        let early = replica
            .not_before
            .get(&object)
            .is_some_and(|at| self.now < *at);
        assert!(!early, "the API asked to wait");
        if let Some(rate) = settings.patches_per_second {
            for (later, start) in replica.started.iter().rev().enumerate() {
                let window = self.now.saturating_sub(*start).as_secs_f64();
                let count = u32::try_from(later + 2).unwrap();
                assert!(
                    f64::from(count) <= rate.max(1.0) + rate * window + 1e-6,
                    "too fast"
                );
            }
        }
        let target = super::cluster::target(object);
        let in_progress = replica.engine.in_progress.iter();
        let open = in_progress.filter(|(_, delivery)| delivery.open.contains_key(&target));
        let mut wants = open.flat_map(|(sequence, _)| &replica.held[sequence].wants);
        assert!(
            wants.all(|(other, newer)| *other != object || *newer <= patched),
            "{patched:?} is patched although a newer value is known"
        );
    }

    /// The targets and events of the delivery that are not done.
    pub(super) fn undone(&self, holding: &Holding) -> impl Iterator<Item = (usize, Order)> {
        let wants = holding.wants.iter().copied();
        wants.filter(|(object, order)| {
            !self.is_settled(*object, *order) && !self.is_taken_over(*object, *order)
        })
    }

    /// Those of them that no newer event answers for.
    pub(super) fn lost(&self, holding: &Holding) -> impl Iterator<Item = (usize, Order)> {
        let undone = self.undone(holding);
        undone.filter(|pair| !self.answers.contains_key(pair))
    }

    /// If a delivery does not wait for a target any more, a newer event may answer for it, which then must be done.
    pub(super) fn note_answers(&mut self, at: usize) {
        let replica = &self.replicas[at];
        let in_progress = &replica.engine.in_progress;
        let mut answers = Vec::new();
        for (sequence, holding) in &replica.held {
            let open = in_progress.get(sequence).map(|delivery| &delivery.open);
            for (object, order) in self.lost(holding) {
                let target = super::cluster::target(object);
                let newer = self.answering(replica, !holding.acked, object, order);
                if let (false, Some(newer)) =
                    (open.is_some_and(|it| it.contains_key(&target)), newer)
                {
                    answers.push(((object, order), newer));
                }
            }
        }
        self.answers.extend(answers);
    }

    /// A message is parked only if it waits only for objects that keep failing.
    fn check_park(replica: &Replica, sequence: u64, holding: &Holding) {
        assert!(!replica.stopping && !holding.acked && !holding.parked);
        let stuck = |target: &_| {
            let failing = replica.failing.get(&object(target));
            failing.is_some_and(|(_, count, slow)| *count >= 3 || *slow)
        };
        // A mark that the objects carry already may have completed it since.
        let delivery = replica.engine.in_progress.get(&sequence);
        assert!(
            delivery.is_none_or(|it| {
                let restarts = &replica.engine.restarts;
                it.open.keys().all(stuck) && restarts.are_late(sequence, &it.restarts)
            }),
            "needless park"
        );
    }

    fn check_ack(&self, sequence: u64, holding: &Holding) {
        let early = self.lost(holding).next();
        assert_eq!(early, None, "message {sequence} is acked too early");
        let message = self.server.message(sequence);
        let mut events = message.events.iter().enumerate();
        assert!(
            events.all(|(at, event)| !event.undecodable || message.dead.contains(&Some(at))),
            "a rejected event is acked away"
        );
        assert!(!holding.panicked && matches!(holding.dead_letters, DeadLetters::None));
    }

    fn check_dead_letters(
        &self,
        sequence: u64,
        attempt: u64,
        holding: &Holding,
        dead_letters: &[Rejection],
    ) {
        assert_eq!(attempt, holding.attempt);
        let indices: BTreeSet<_> = dead_letters.iter().map(|letter| letter.index).collect();
        assert_eq!(
            indices.len(),
            dead_letters.len(),
            "two dead letters of one event"
        );
        let settings = &self.plan.settings;
        let message = self.server.message(sequence);
        for Rejection { index, reason, .. } in dead_letters {
            let wants = holding
                .wants
                .iter()
                .filter(|(_, (_, at))| Some(*at) == *index);
            let right = match reason {
                Reason::Undecodable => index.is_some_and(|index| message.events[index].undecodable),
                Reason::Refused => {
                    let refused = |(object, order): &(usize, Order)| {
                        self.cluster.objects[*object].refused >= Some(*order)
                    };
                    let mut restarts = holding.restarts.iter();
                    let not_restarted = |pair: &(usize, Order)| {
                        Some(pair.1.1) == *index && self.not_restarted.contains(pair)
                    };
                    wants.into_iter().any(refused) || restarts.any(not_restarted)
                }
                Reason::TooManyAttempts => index.is_none() && attempt > settings.max_attempts,
                Reason::GaveUp => self.now >= message.published + settings.give_up_after,
                Reason::NotSynced => self.now >= holding.since + settings.restart.give_up_after,
            };
            assert!(
                right,
                "dead letter of {sequence} {index:?} for no reason: {reason:?}"
            );
        }
    }

    fn check_term(&self, sequence: u64, reason: Reason, holding: &Holding) {
        let DeadLetters::Stored(dead_letters) = &holding.dead_letters else {
            panic!("message {sequence} is terminated before its dead letters are stored");
        };
        assert!(dead_letters.iter().any(|letter| letter.reason == reason));
        let dead = &self.server.message(sequence).dead;
        for (object, (_, index)) in self.lost(holding) {
            assert!(
                dead.contains(&None) || dead.contains(&Some(index)),
                "event {index} of {sequence} is lost for object {object}"
            );
        }
    }

    pub(super) fn check(&mut self, at: usize) {
        let now = self.now;
        let settings = &self.plan.settings;
        let replica = &mut self.replicas[at];
        let engine = &replica.engine;
        let is_known = |object: &usize| engine.targets.contains_key(&target(*object));
        replica.not_before.retain(|object, _| is_known(object));
        replica.failing.retain(|object, _| is_known(object));
        assert!(engine.lanes.suspects() <= engine.targets.len());

        let held: Vec<_> = engine
            .in_progress
            .keys()
            .chain(engine.dead_lettering.keys())
            .collect();
        assert_eq!(held.len(), replica.held.len(), "deliveries are forgotten");
        assert!(
            held.iter()
                .all(|sequence| replica.held.contains_key(sequence))
        );
        for (sequence, holding) in &replica.held {
            assert!(
                holding.parked || now <= holding.heard + ACK_WAIT,
                "no progress for {sequence}"
            );
        }

        let pairs = |holding: &Holding| {
            holding
                .wants
                .iter()
                .map(|(object, _)| *object)
                .collect::<BTreeSet<_>>()
        };
        let waiting: usize = engine.targets.values().map(|work| work.waiting.len()).sum();
        let open: usize = engine.in_progress.values().map(|it| it.open.len()).sum();
        assert_eq!(waiting, open, "a target and its deliveries disagree");
        let mut answered = 0;
        for work in engine.targets.values() {
            for (version, wish) in &work.waiting {
                answered += wish.answers.len();
                let mut newer = work.waiting.range(version..).skip(1);
                assert!(
                    newer.all(|(_, newer)| !newer.answers_for(wish)),
                    "a message is held although a newer one answers for it"
                );
            }
        }
        assert_eq!(engine.answered, answered);
        assert!(
            answered <= settings.max_events,
            "too many events are tracked"
        );
        check_stuck(replica);
        let parked = replica.held.values().filter(|it| it.parked).count();
        assert_eq!(engine.parked(), parked);
        let mut known: BTreeSet<_> = replica.held.values().flat_map(pairs).collect();
        known.extend(replica.in_flight.iter().map(|patch| patch.object));
        assert!(
            engine.targets.len() <= known.len(),
            "a target without work is kept"
        );
        assert!(engine.lanes.waiting() <= engine.targets.len());
        let bounds = self.plan.settings.window;
        assert!(
            engine.lanes.outstanding() <= bounds.max.max(bounds.min),
            "more mass work is outstanding than the window lets through"
        );
        assert!(
            engine.timers.len()
                <= 3 * held.len()
                    + engine.targets.len()
                    + engine.outstanding.len()
                    + engine.restarts.len()
                    + 1
        );

        assert!(
            engine.wake_at().is_none_or(|at| at > now),
            "a timer fires for ever"
        );
        let may_take = !replica.stopping && !replica.health.away;
        let capacity = if may_take {
            settings.max_deliveries.saturating_sub(replica.at_work())
        } else {
            0
        };
        assert_eq!(engine.capacity(), capacity);
        let at_rest = replica.in_flight.is_empty()
            && replica.restarting.is_empty()
            && replica.dead_letters().is_empty();
        if replica.stopping && at_rest {
            assert!(engine.is_idle(), "something is kept after the stop");
        }
    }
}

/// An object that keeps failing, or that ESO does not sync in time, holds no message.
fn check_stuck(replica: &Replica) {
    let engine = &replica.engine;
    // The state of the API as a whole may change without an input for each target.
    let fails = |target| {
        engine
            .targets
            .get(target)
            .is_some_and(|it| it.is_stuck(true))
    };
    let stuck = engine.in_progress.iter().filter(|(sequence, it)| {
        let late = engine.restarts.are_late(**sequence, &it.restarts);
        let stuck = it.open.keys().all(fails) && late;
        it.kept == Kept::Stream && it.place == Place::Here && stuck
    });
    assert!(
        replica.stopping || stuck.count() == 0,
        "an object that keeps failing holds a message"
    );
}
