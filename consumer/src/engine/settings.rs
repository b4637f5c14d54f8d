//! What an operator may choose.

use std::time::Duration;

use eso_relay::stream::ACK_WAIT;

use super::observe::MAX_EVENTS;

/// The limits within which the engine works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many deliveries are held at once. Default 16,384: an
    /// outage's backlog, so that it is coalesced.
    pub max_deliveries: usize,
    /// How many patches are under way at once, at least 1. Default 32.
    pub patches_in_flight: usize,
    /// How many patches start in a second, bursts of one second included. Default: as many as
    /// `patches_in_flight` lets through. Zero and less limit nothing.
    pub patches_per_second: Option<f64>,
    /// As `patches_per_second`, for those that read through one store. Default: as many as come.
    pub patches_per_second_and_store: Option<f64>,
    /// How many objects of mass work may be patched and not yet synced. Default 4 to 256.
    pub window: WindowBounds,
    /// Mass work is put off by a random part of this. Default: not at all.
    pub jitter: Duration,
    /// How often the server is told that a delivery is still at work. Default: a quarter of
    /// [`ACK_WAIT`], so that two signs in a row may be lost.
    pub progress_every: Duration,
    /// A message that panics in a later delivery becomes a dead letter. Default 20.
    pub max_attempts: u64,
    /// What a cluster could not take at this age becomes a dead letter. Default 24 h.
    pub give_up_after: Duration,
    /// How many pairs of an event and a target are kept in mind, to tell what becomes of the event,
    /// beyond those that a delivery is held for.
    pub max_events: usize,
}

/// Between these the window follows the ESO at hand; equal, they fix it.
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
            max_events: MAX_EVENTS,
        }
    }
}
