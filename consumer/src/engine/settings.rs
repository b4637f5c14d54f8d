//! The engine's settings.

use std::time::Duration;

use eso_relay::stream::ACK_WAIT;

/// The most events whose sync is tracked; for more it is not reported. This also bounds the marks of all targets:
/// at most the last one of a target has no events.
pub(super) const MAX_EVENTS: usize = 65_536;

/// The limits of the engine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many deliveries are held at once. Default 16,384: enough to coalesce the backlog of an outage.
    pub max_deliveries: usize,
    /// How many patches are in flight, at least 1. Default 32.
    pub patches_in_flight: usize,
    /// How many patches start in a second, with bursts of one second. Default: no limit. Zero or less is no
    /// limit.
    pub patches_per_second: Option<f64>,
    /// The same for objects that read through one store. Default: no limit.
    pub patches_per_second_and_store: Option<f64>,
    /// How many objects of mass work may be patched and not yet synced. Default 4 to 256.
    pub window: WindowBounds,
    /// Mass work is delayed by a random part of this. Default: none.
    pub jitter: Duration,
    /// The interval of progress acks. Default: a quarter of [`ACK_WAIT`], so that two in a row may be lost.
    pub progress_every: Duration,
    /// After how many deliveries a message that panics becomes a dead letter. Default 20.
    pub max_attempts: u64,
    /// An event that is so old and not done becomes a dead letter. Default 24 h.
    pub give_up_after: Duration,
    pub restart: RestartSettings,
    /// How many pairs of an event and a target are tracked for reports, beyond those that a held delivery waits
    /// for.
    pub max_events: usize,
}

/// The limits of restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartSettings {
    /// A workload is restarted once nothing more was asked for it for so long. Default 5 s.
    pub gather: Duration,
    /// At the latest so long after the first that was asked for, also if ESO has not synced the others. Default 60 s.
    pub gather_at_most: Duration,
    /// How many rollouts that were started here may be under way, at least 1. Default 4.
    pub concurrency: usize,
    /// How long after a restart the next one of the workload may start. Default: no limit.
    pub min_interval: Duration,
    /// An event becomes a dead letter if ESO has not synced for so long what a workload waits for. Default 1 h.
    pub give_up_after: Duration,
}

impl Default for RestartSettings {
    fn default() -> Self {
        Self {
            gather: Duration::from_secs(5),
            gather_at_most: Duration::from_secs(60),
            concurrency: 4,
            min_interval: Duration::ZERO,
            give_up_after: Duration::from_secs(3600),
        }
    }
}

/// The window adapts to ESO between these bounds; equal bounds fix it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowBounds {
    pub min: usize,
    pub max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_deliveries: 16_384,
            patches_in_flight: 32,
            patches_per_second: None,
            patches_per_second_and_store: None,
            window: WindowBounds { min: 4, max: 256 },
            jitter: Duration::ZERO,
            progress_every: ACK_WAIT / 4,
            max_attempts: 20,
            give_up_after: Duration::from_secs(24 * 3600),
            restart: RestartSettings::default(),
            max_events: MAX_EVENTS,
        }
    }
}
