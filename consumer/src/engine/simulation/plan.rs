//! What kind of schedule a seed stands for.

use std::time::Duration;

use fastrand::Rng;

use super::super::Settings;

pub(super) struct Plan {
    pub(super) steps: usize,
    pub(super) replicas: usize,
    pub(super) objects: usize,
    pub(super) messages: usize,
    pub(super) settings: Settings,
    /// One replica, deliveries in order, nothing lost: then the newest value must win.
    pub(super) calm: bool,
    /// Of each answer of the API.
    pub(super) cluster_faults: f64,
    pub(super) target_faults: f64,
    /// Of each change that the watch should show.
    pub(super) watch_losses: f64,
}

impl Plan {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let calm = rng.u8(..4) == 0;
        let pick =
            |rng: &mut Rng, probabilities: &[f64]| probabilities[rng.usize(..probabilities.len())];
        let rate = [None, None, Some(0.5), Some(5.0)][rng.usize(..4)];
        let short_patience = !calm && rng.u8(..4) == 0;
        Self {
            steps: rng.usize(40..160),
            replicas: if calm { 1 } else { rng.usize(1..=3) },
            objects: rng.usize(1..=4),
            messages: rng.usize(1..=10),
            settings: Settings {
                max_deliveries: rng.usize(1..=6),
                patches_in_flight: rng.usize(1..=3),
                patches_per_second: rate,
                max_attempts: if calm || rng.bool() { 20 } else { 2 },
                give_up_after: Duration::from_secs(if short_patience { 90 } else { 24 * 3600 }),
                ..Settings::default()
            },
            calm,
            cluster_faults: pick(rng, &[0.0, 0.2, 0.7]),
            target_faults: pick(rng, &[0.0, 0.1]),
            watch_losses: pick(rng, &[0.0, 0.5]),
        }
    }
}
