//! Exponential back-off with jitter.

use std::time::Duration;

use fastrand::Rng;

/// Doubles with each failure in a row; the jitter removes up to half of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    first: Duration,
    most: Duration,
}

/// For a target, after what looks like a fault of the cluster. Short at first, as it may be over at once; as
/// long as [`TARGET`] in the end, as it may concern this object alone.
pub(super) const CLUSTER: Backoff =
    Backoff::new(Duration::from_millis(100), Duration::from_secs(60));
/// For a target, after a fault of its own, which a person has to fix.
pub(super) const TARGET: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// For the next probe of an unavailable API. Short, as it delays the recovery.
pub(super) const PROBE: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
/// For the redelivery of a message that panicked or whose dead letters could not be stored.
pub(super) const REDELIVERY: Backoff =
    Backoff::new(Duration::from_secs(1), Duration::from_secs(5 * 60));

/// For the redelivery of a parked message: soon enough after a crash of its replica, and rare enough for as
/// many messages as there are objects.
pub(super) const PARKED: Backoff =
    Backoff::new(Duration::from_secs(60), Duration::from_secs(10 * 60));

impl Backoff {
    const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most }
    }

    /// `failures` in a row, the latest included.
    pub(super) fn delay(self, failures: u64, rng: &mut Rng) -> Duration {
        // 2^20 times the shortest first delay is more than a day, longer than every `most`.
        let doublings = failures.saturating_sub(1).min(20);
        let delay = self.first.saturating_mul(1 << doublings).min(self.most);
        delay.mul_f64(1.0 - rng.f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_its_bound_and_jitters_below() {
        let mut rng = Rng::with_seed(1);
        for (failures, seconds) in [(0, 1), (1, 1), (2, 2), (3, 4), (7, 60), (u64::MAX, 60)] {
            let whole = Duration::from_secs(seconds);
            let delays: Vec<_> = (0..50).map(|_| TARGET.delay(failures, &mut rng)).collect();
            assert!(
                delays
                    .iter()
                    .all(|delay| (whole / 2..=whole).contains(delay))
            );
            assert!(delays.windows(2).any(|pair| pair[0] != pair[1]));
        }
    }
}
