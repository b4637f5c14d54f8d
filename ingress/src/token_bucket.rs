//! A token bucket, as the generic cell rate algorithm (ITU-T I.371, annex A).

use std::time::Duration;

use tokio::time::Instant;

/// Holds `burst / interval` tokens at most, and gets one more each `interval`. All that it stores is the
/// time at which it will be full.
pub(crate) struct TokenBucket {
    interval: Duration,
    burst: Duration,
    full_at: Option<Instant>,
}

impl TokenBucket {
    pub(crate) fn new(interval: Duration, burst: Duration) -> Self {
        Self {
            interval,
            burst,
            full_at: None,
        }
    }

    /// Takes a token; false if there is none.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let next = self.full_at.map_or(now, |full_at| full_at.max(now)) + self.interval;
        let taken = next <= now + self.burst;
        if taken {
            self.full_at = Some(next);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn per_second(tokens: u32) -> TokenBucket {
        TokenBucket::new(SECOND / tokens, SECOND)
    }

    /// How many of `tries` get a token at the same moment.
    fn taken(bucket: &mut TokenBucket, at: Instant, tries: usize) -> usize {
        (0..tries).filter(|_| bucket.take(at)).count()
    }

    #[test]
    fn a_full_bucket_passes_at_once_and_then_its_rate() {
        let (mut bucket, start) = (per_second(4), Instant::now());
        assert_eq!(taken(&mut bucket, start, 10), 4);
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(taken(&mut bucket, after(249), 10), 0);
        assert_eq!(taken(&mut bucket, after(250), 10), 1);
        assert_eq!(taken(&mut bucket, after(750), 10), 2);
        // A long rest saves up no more than a full bucket.
        assert_eq!(taken(&mut bucket, after(3_600_000), 10), 4);
    }

    #[test]
    fn a_refused_try_costs_nothing() {
        let (mut bucket, start) = (per_second(1), Instant::now());
        assert_eq!(taken(&mut bucket, start, 1000), 1);
        assert_eq!(taken(&mut bucket, start + SECOND, 1), 1);
    }

    proptest! {
        #[test]
        fn at_most_twice_the_rate_passes_in_a_second_and_an_even_stream_whole(
            tokens in 1_u32..5_000,
            waits in proptest::collection::vec(0_u64..2_000_000, 1..300),
        ) {
            let (mut bucket, start) = (per_second(tokens), Instant::now());
            let (mut at, mut passes) = (start, Vec::new());
            for wait in waits {
                at += Duration::from_micros(wait);
                passes.extend(bucket.take(at).then_some(at));
            }
            for (index, &first) in passes.iter().enumerate() {
                let within = passes[index..].iter().filter(|&&pass| pass < first + SECOND);
                prop_assert!(within.count() <= 2 * tokens as usize);
            }
            let mut even = per_second(tokens);
            prop_assert!((0..tokens * 2).all(|n| even.take(start + even.interval * n)));
        }
    }
}
