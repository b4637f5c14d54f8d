//! Rate limiter.

use std::time::Duration;

/// A token bucket with the tokens of one second. It stores the time at which it is full again (GCRA), in whole
/// nanoseconds, so that a wake-up is never too early by a rounding error.
#[derive(Debug)]
pub(super) struct TokenBucket {
    interval: Duration,
    /// How far ahead of the rate a burst may be.
    burst: Duration,
    full_at: Duration,
}

impl TokenBucket {
    pub(super) fn new(per_second: f64) -> Option<Self> {
        let interval = Duration::try_from_secs_f64(per_second.recip()).ok()?;
        Some(Self {
            interval,
            burst: Duration::from_secs(1).saturating_sub(interval),
            full_at: Duration::ZERO,
        })
    }

    pub(super) fn next(&self) -> Duration {
        self.full_at.saturating_sub(self.burst)
    }

    pub(super) fn take(&mut self, now: Duration) {
        self.full_at = self.full_at.max(now).saturating_add(self.interval);
    }

    /// Returns a token that was not used.
    pub(super) fn refund(&mut self) {
        self.full_at = self.full_at.saturating_sub(self.interval);
    }
}
