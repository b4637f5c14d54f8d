//! One process: an engine, and the state of its worker.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use eso_relay::stream::Reason;

use super::{
    super::{Delivery, Engine, Refresh, Step},
    Order,
    cluster::{Cluster, Patch, Seen, fingerprint, target},
    health::Health,
    plan::{Plan, Strips},
    server::{GAP, Message},
    workload::Workload,
};
use crate::{
    matching::index::Shown,
    object::{Fault, Kept, Outcome, RefreshMark, Rejection, Steps, WorkloadState},
};

pub(super) struct Replica {
    /// Unique, also after a restart.
    pub(super) process: u64,
    pub(super) engine: Engine,
    pub(super) stopping: bool,
    /// What the watch has shown, and what it will show.
    pub(super) cache: Vec<Option<Shown>>,
    pub(super) watch: VecDeque<(usize, Seen)>,
    pub(super) held: BTreeMap<u64, Holding>,
    pub(super) in_flight: Vec<Patch>,
    /// When each patch started.
    pub(super) started: Vec<Duration>,
    pub(super) health: Health,
    /// Objects whose last patch failed, and that are patched again now.
    pub(super) suspects: BTreeSet<usize>,
    /// Until when the API asked not to be sent a patch of an object.
    pub(super) not_before: BTreeMap<usize, Duration>,
    /// The faults of each object in a row, and whether the last asked for a long delay.
    pub(super) failing: BTreeMap<usize, (Fault, u32, bool)>,
    /// For each event at each object, how often it came and was not reported.
    pub(super) unreported: BTreeMap<(usize, Order), i32>,
    /// Each accepted message, with the attempt.
    pub(super) taken: BTreeMap<u64, u64>,
    /// Objects that the watch has shown since messages were matched.
    pub(super) appeared: BTreeSet<usize>,
    /// Marks that were removed before ESO looked.
    pub(super) lost: Vec<(usize, RefreshMark)>,
    /// What the watch has shown of each workload, and what it will show.
    pub(super) workloads: Vec<Option<WorkloadState>>,
    pub(super) workload_watch: VecDeque<(usize, Option<WorkloadState>)>,
    /// What each event restarts, with the objects that it follows there.
    pub(super) follows: BTreeMap<(usize, Order), BTreeSet<usize>>,
    /// For each event at each workload, how often it came and was not reported.
    pub(super) unrestarted: BTreeMap<(usize, Order), i32>,
    pub(super) restarting: BTreeSet<usize>,
    /// The rollouts that were started here, over which version, and when.
    pub(super) rolling: BTreeMap<usize, (u64, Duration)>,
    /// Objects that the API did not find, with the messages that waited for them.
    pub(super) gone: BTreeSet<(usize, u64)>,
}

/// A delivery that the engine has not answered.
pub(super) struct Holding {
    pub(super) attempt: u64,
    pub(super) since: Duration,
    /// The last delivery or progress ack.
    pub(super) heard: Duration,
    /// The targets and events that it matched.
    pub(super) wants: BTreeSet<(usize, Order)>,
    /// The workloads and events that it restarts.
    pub(super) restarts: BTreeSet<(usize, Order)>,
    pub(super) panicked: bool,
    /// The message was acked before.
    pub(super) acked: bool,
    /// It is nak'ed with a delay.
    pub(super) parked: bool,
    pub(super) dead_letters: DeadLetters,
}

pub(super) enum DeadLetters {
    None,
    Sent(Vec<Rejection>),
    Stored(Vec<Rejection>),
    Lost,
}

impl Replica {
    pub(super) fn new(process: u64, plan: &Plan, cluster: &Cluster) -> Self {
        Self {
            process,
            engine: Engine::new(plan.settings.clone(), process),
            stopping: false,
            cache: (0..plan.objects)
                .map(|object| shown(cluster.shows(object)))
                .collect(),
            watch: VecDeque::new(),
            held: BTreeMap::new(),
            in_flight: Vec::new(),
            started: Vec::new(),
            health: Health::default(),
            suspects: BTreeSet::new(),
            not_before: BTreeMap::new(),
            failing: BTreeMap::new(),
            unreported: BTreeMap::new(),
            taken: BTreeMap::new(),
            appeared: BTreeSet::new(),
            lost: Vec::new(),
            workloads: cluster.workloads.iter().map(Workload::shows).collect(),
            workload_watch: VecDeque::new(),
            follows: BTreeMap::new(),
            unrestarted: BTreeMap::new(),
            restarting: BTreeSet::new(),
            rolling: BTreeMap::new(),
            gone: BTreeSet::new(),
        }
    }

    /// Decodes and matches a message, by what the watch has shown so far.
    pub(super) fn matched(
        &self,
        now: Duration,
        sequence: u64,
        attempt: u64,
        pending: u64,
        message: &Message,
        plan: &Plan,
    ) -> Delivery {
        let stores = &plan.stores;
        let mut refreshes = Vec::new();
        let mut rejected = Vec::new();
        for (index, event) in message.events.iter().enumerate() {
            if event.undecodable {
                rejected.push(Rejection {
                    index: Some(index),
                    reason: Reason::Undecodable,
                    error: "unknown version".to_owned(),
                });
                continue;
            }
            for &object in &event.objects {
                if let Some(shown) = &self.cache[object] {
                    refreshes.push(Refresh {
                        target: target(object),
                        event: fingerprint((sequence, index)),
                        index,
                        settle: event.settle.max(stores[object]),
                        carries: shown.carried(),
                        sync: shown.sync,
                        urgency: event.urgency.clone(),
                        stores: [object as u64 % 2].into(),
                        weight: 1,
                    });
                }
            }
        }
        Delivery {
            sequence,
            attempt,
            pending,
            age: now.saturating_sub(message.published),
            kept: if sequence == GAP {
                Kept::Position
            } else {
                Kept::Stream
            },
            restarts: self.matched_restarts(sequence, message, plan),
            refreshes,
            rejected,
        }
    }

    /// How the worker refreshes an object.
    pub(super) fn steps(&self, object: usize, plan: &Plan) -> Steps {
        let shown = self.cache[object].as_ref();
        if plan.strips[object] == Strips::Owner || shown.is_some_and(Shown::loses_values) {
            Steps::Two
        } else {
            Steps::One
        }
    }

    /// Remembers that a delivery went in.
    pub(super) fn hold(
        &mut self,
        now: Duration,
        sequence: u64,
        attempt: u64,
        matched: Option<&Delivery>,
    ) {
        let holding = self.held.entry(sequence).or_insert_with(|| Holding {
            attempt,
            since: now,
            heard: now,
            wants: matched
                .iter()
                .flat_map(|delivery| wants(delivery))
                .collect(),
            restarts: matched
                .iter()
                .flat_map(|delivery| restarts(delivery))
                .collect(),
            panicked: matched.is_none(),
            acked: false,
            parked: false,
            dead_letters: DeadLetters::None,
        });
        holding.acked = false;
        holding.parked = false;
        holding.attempt = attempt;
        holding.heard = now;
    }

    /// Its events must be reported, except at targets that it waits for already.
    pub(super) fn expect_report(&mut self, delivery: &Delivery) {
        for pair in restarts(delivery) {
            *self.unrestarted.entry(pair).or_default() += 1;
        }
        for pair in wants(delivery) {
            if !self.engine.waits(delivery.sequence, &target(pair.0)) {
                *self.unreported.entry(pair).or_default() += 1;
            }
        }
    }

    /// Adds the targets of a late match.
    pub(super) fn hold_late(&mut self, now: Duration, delivery: &Delivery) {
        let sequence = delivery.sequence;
        for (object, _) in wants(delivery) {
            self.gone.remove(&(object, sequence));
        }
        if let Some(holding) = self.held.get_mut(&sequence) {
            holding.wants.extend(wants(delivery));
        } else {
            self.hold(now, sequence, delivery.attempt, Some(delivery));
            if let Some(holding) = self.held.get_mut(&sequence) {
                holding.acked = true;
            }
        }
    }

    /// The engine has concluded a delivery.
    pub(super) fn forget(&mut self, sequence: u64) {
        self.held.remove(&sequence);
        self.gone.retain(|(_, held)| *held != sequence);
    }

    /// A patch of the object has a result.
    pub(super) fn answered(&mut self, object: usize, outcome: &Outcome) {
        let Outcome::Retry { fault, after, .. } = outcome else {
            self.failing.remove(&object);
            return;
        };
        let count = match self.failing.get(&object) {
            Some((last, count, _)) if last == fault => count + 1,
            _ => 1,
        };
        let slow = *fault == Fault::Object && after.is_some();
        self.failing.insert(object, (*fault, count, slow));
    }

    /// A step of an event was reported.
    pub(super) fn reported(&mut self, object: usize, event: Order, step: Step) {
        if !matches!(step, Step::Synced | Step::Failed | Step::Silent) {
            *self.unreported.entry((object, event)).or_default() -= 1;
        }
    }

    /// How many deliveries count for the capacity.
    pub(super) fn at_work(&self) -> usize {
        let held = self.held.values();
        held.filter(|holding| !holding.parked).count()
    }

    /// The sequences whose dead letters wait to be stored.
    pub(super) fn dead_letters(&self) -> Vec<u64> {
        let sent = |holding: &Holding| matches!(holding.dead_letters, DeadLetters::Sent(_));
        let held = self.held.iter();
        held.filter(|(_, holding)| sent(holding))
            .map(|(sequence, _)| *sequence)
            .collect()
    }
}

fn shown(seen: Seen) -> Option<Shown> {
    let Seen::Carries(value, sync, version) = seen else {
        return None;
    };
    let mut shown = Shown::default();
    shown.show(value, sync, version.into());
    Some(shown)
}

/// The workloads and events of a delivery.
pub(super) fn restarts(delivery: &Delivery) -> impl Iterator<Item = (usize, Order)> {
    let restarts = delivery.restarts.iter();
    restarts.map(|restart| {
        let workload = super::cluster::object(&restart.workload);
        (workload, (delivery.sequence, restart.index))
    })
}

fn wants(delivery: &Delivery) -> impl Iterator<Item = (usize, Order)> {
    let refreshes = delivery.refreshes.iter();
    refreshes.map(|refresh| {
        let object = super::cluster::object(&refresh.target);
        (object, (delivery.sequence, refresh.index))
    })
}
