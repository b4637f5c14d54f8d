//! What one source may take, so that it cannot starve the others.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::body::{self, Room};

/// What a rate lets through at once, in terms of time.
const BURST: Duration = Duration::from_secs(1);

/// The `limits:` section of a source. Beyond either limit it is answered 503.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Requests whose credentials hold; as many may come at once. Default: no bound.
    pub requests_per_second: Option<u32>,
    /// The bytes that the bodies of this source hold together. Default: half of `max_buffered`, but
    /// at least `body_limit`.
    pub buffered: Option<usize>,
}

/// The limits of one source, in use.
#[derive(Default)]
pub struct Limits {
    rate: Option<Rate>,
    pub(crate) room: Room,
}

/// The generic cell rate algorithm (ITU-T I.371, annex A): a token bucket that needs no more than the
/// time at which it will be full again.
struct Rate {
    /// Between two requests of an even stream.
    interval: Duration,
    full_at: Mutex<Option<Instant>>,
}

impl LimitsConfig {
    /// What is wrong with it and mends it.
    pub(crate) fn check(&self, body_limit: usize) -> Result<(), String> {
        if self.requests_per_second == Some(0) {
            return Err(
                "`limits.requests_per_second` is 0: no request could be taken; remove it for no bound".to_owned(),
            );
        }
        match self.buffered {
            Some(buffered) if buffered < body_limit => Err(format!(
                "`limits.buffered` ({buffered}) is below `body_limit` ({body_limit}): raise it, or remove it for half of `max_buffered`"
            )),
            _ => Ok(()),
        }
    }

    pub(crate) fn open(&self, bodies: &body::Limits) -> Limits {
        let buffered = self
            .buffered
            .unwrap_or_else(|| bodies.body.max(bodies.total / 2));
        Limits {
            rate: self.requests_per_second.map(Rate::new),
            room: Room::of(buffered),
        }
    }
}

impl Limits {
    /// Whether one more request may pass now; if so it counts.
    pub(crate) fn pass(&self, now: Instant) -> bool {
        self.rate.as_ref().is_none_or(|rate| rate.pass(now))
    }
}

impl Rate {
    fn new(per_second: u32) -> Self {
        Self {
            interval: BURST / per_second.max(1),
            full_at: Mutex::new(None),
        }
    }

    fn pass(&self, now: Instant) -> bool {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let next = full_at.map_or(now, |full_at| full_at.max(now)) + self.interval;
        let passes = next <= now + BURST;
        if passes {
            *full_at = Some(next);
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many of `tries` pass at the same moment.
    fn passed(rate: &Rate, at: Instant, tries: usize) -> usize {
        (0..tries).filter(|_| rate.pass(at)).count()
    }

    #[test]
    fn one_seconds_worth_passes_at_once_and_then_as_many_as_time_brings() {
        let (rate, start) = (Rate::new(4), Instant::now());
        assert_eq!(passed(&rate, start, 10), 4);
        assert_eq!(passed(&rate, start + Duration::from_millis(249), 10), 0);
        assert_eq!(passed(&rate, start + Duration::from_millis(250), 10), 1);
        assert_eq!(passed(&rate, start + Duration::from_millis(750), 10), 2);
        // A long rest saves up no more than a second's worth.
        assert_eq!(passed(&rate, start + Duration::from_secs(3600), 10), 4);
    }

    #[test]
    fn what_does_not_pass_costs_nothing() {
        let (rate, start) = (Rate::new(1), Instant::now());
        assert_eq!(passed(&rate, start, 1000), 1);
        assert_eq!(passed(&rate, start + BURST, 1), 1);
    }

    #[test]
    fn without_a_rate_everything_passes() {
        let limits = Limits::default();
        let now = Instant::now();
        assert!((0..10_000).all(|_| limits.pass(now)));
    }

    proptest! {
        #[test]
        fn no_second_has_more_than_twice_the_rate_and_an_even_stream_passes_whole(
            per_second in 1_u32..5_000,
            waits in proptest::collection::vec(0_u64..2_000_000, 1..300),
        ) {
            let (rate, start) = (Rate::new(per_second), Instant::now());
            let (mut at, mut passes) = (start, Vec::new());
            for wait in waits {
                at += Duration::from_micros(wait);
                passes.extend(rate.pass(at).then_some(at));
            }
            for (index, &first) in passes.iter().enumerate() {
                let within = passes[index..].iter().filter(|&&pass| pass < first + BURST);
                prop_assert!(within.count() <= 2 * per_second as usize);
            }
            let even = Rate::new(per_second);
            prop_assert!((0..per_second * 2).all(|n| even.pass(start + even.interval * n)));
        }
    }
}
