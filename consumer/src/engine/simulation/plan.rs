//! The parameters of a schedule, from its seed.

use std::{collections::BTreeSet, time::Duration};

use fastrand::Rng;

use super::{
    super::{RestartSettings, Settings, Urgency, WindowBounds},
    cluster::Stuck,
};

pub(super) struct Plan {
    pub(super) steps: usize,
    pub(super) replicas: usize,
    pub(super) objects: usize,
    pub(super) messages: usize,
    pub(super) settings: Settings,
    /// One replica, deliveries in order, nothing lost: then the newest mark must win.
    pub(super) calm: bool,
    /// The probability of a fault, for each response of the API.
    pub(super) cluster_faults: f64,
    pub(super) target_faults: f64,
    /// Which objects always fail.
    pub(super) stuck: Vec<Option<Stuck>>,
    /// The probability that the watch does not show a change.
    pub(super) watch_losses: f64,
    /// Who removes the annotation of each object.
    pub(super) strips: Vec<Strips>,
    /// Whether messages may be removed before they are delivered.
    pub(super) misses: bool,
    /// Whether the status of an object may not be reset.
    pub(super) resets_refused: bool,
    /// How long the store of each object settles.
    pub(super) stores: Vec<Option<Duration>>,
    /// The objects whose Secrets each workload reads; none: it reads the store of the first object.
    pub(super) workloads: Vec<BTreeSet<usize>>,
    /// The probability that a rollout fails.
    pub(super) bad_rollouts: f64,
    /// The probability that an event settles.
    pub(super) settles: f64,
    /// The probability that the process crashes after an input.
    pub(super) crashes: f64,
}

/// Who removes the annotation of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strips {
    None,
    /// The ClusterExternalSecret that owns it.
    Owner,
    /// A controller that is unknown before.
    Somebody,
}

impl Plan {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let calm = rng.u8(..4) == 0;
        let pick =
            |rng: &mut Rng, probabilities: &[f64]| probabilities[rng.usize(..probabilities.len())];
        let rate = [None, None, Some(0.5), Some(5.0)][rng.usize(..4)];
        let objects = rng.usize(1..=4);
        let settles = pick(rng, &[0.0, 0.3, 1.0]);
        let short_patience = !calm && rng.u8(..4) == 0;
        Self {
            steps: rng.usize(40..160),
            replicas: if calm { 1 } else { rng.usize(1..=3) },
            objects,
            messages: rng.usize(1..=10),
            settings: Settings {
                max_deliveries: rng.usize(1..=6),
                patches_in_flight: [1, 2, 3, 8][rng.usize(..4)],
                patches_per_second: rate,
                patches_per_second_and_store: [None, None, Some(1.0)][rng.usize(..3)],
                window: WindowBounds {
                    min: rng.usize(1..=3),
                    max: rng.usize(1..=4),
                },
                jitter: Duration::from_secs([0, 0, 5][rng.usize(..3)]),
                max_attempts: if calm || rng.bool() { 20 } else { 2 },
                give_up_after: Duration::from_secs(if short_patience { 90 } else { 24 * 3600 }),
                max_events: if rng.bool() { 3 } else { 1000 },
                restart: RestartSettings {
                    gather: Duration::from_secs([0, 5][rng.usize(..2)]),
                    concurrency: rng.usize(1..=3),
                    min_interval: Duration::from_secs([0, 0, 30][rng.usize(..3)]),
                    give_up_after: Duration::from_secs(if short_patience { 60 } else { 1200 }),
                    ..RestartSettings::default()
                },
                ..Settings::default()
            },
            calm,
            cluster_faults: pick(rng, &[0.0, 0.2, 0.7]),
            target_faults: pick(rng, &[0.0, 0.1]),
            stuck: stuck(rng, objects),
            watch_losses: pick(rng, &[0.0, 0.5]),
            strips: (0..objects).map(|_| strips(rng)).collect(),
            misses: rng.u8(..3) == 0,
            resets_refused: rng.u8(..4) == 0,
            stores: (0..objects).map(|_| settle(rng, settles / 2.0)).collect(),
            workloads: workloads(rng, objects),
            bad_rollouts: pick(rng, &[0.0, 0.0, 0.4]),
            settles,
            crashes: if calm {
                0.0
            } else {
                pick(rng, &[0.0, 0.0, 0.03])
            },
        }
    }
}

/// In every second schedule.
fn workloads(rng: &mut Rng, objects: usize) -> Vec<BTreeSet<usize>> {
    let count = [0, 0, 1, 2, 4][rng.usize(..5)];
    let mut one = || (0..objects).filter(|_| rng.bool()).collect();
    (0..count).map(|_| one()).collect()
}

fn strips(rng: &mut Rng) -> Strips {
    match rng.u8(..6) {
        0 => Strips::Owner,
        1 => Strips::Somebody,
        _ => Strips::None,
    }
}

/// Some objects, in every second schedule.
fn stuck(rng: &mut Rng, objects: usize) -> Vec<Option<Stuck>> {
    let part = [0.0, 0.4][rng.usize(..2)];
    let kinds = [Stuck::Error, Stuck::Hangs, Stuck::Forbidden];
    let mut one = || (rng.f64() < part).then(|| kinds[rng.usize(..kinds.len())]);
    (0..objects).map(|_| one()).collect()
}

/// How long an event or a store settles, if it does.
pub(super) fn settle(rng: &mut Rng, probability: f64) -> Option<Duration> {
    let seconds = [0.2, 2.0, 8.0, 100.0][rng.usize(..4)];
    (rng.f64() < probability).then(|| Duration::from_secs_f64(seconds))
}

pub(super) fn urgency(rng: &mut Rng) -> Urgency {
    match rng.u8(..4) {
        0 => Urgency::Mass("a".parse().unwrap()),
        1 => Urgency::Mass("b".parse().unwrap()),
        _ => Urgency::Exact,
    }
}
