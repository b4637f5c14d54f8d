//! Whether the Kubernetes API answers.

use std::time::Duration;

use fastrand::Rng;

use super::backoff::PROBE;

/// So many faults of the cluster without an answer in between mean that the API is away.
const AWAY_AFTER: u32 = 3;

#[derive(Debug)]
pub(super) enum Api {
    /// It answers; so many faults in a row so far.
    Here { faults: u32 },
    /// It does not: one patch at a time probes it.
    Away { probes: u64, next: Duration },
}

impl Default for Api {
    fn default() -> Self {
        Self::Here { faults: 0 }
    }
}

impl Api {
    /// A patch got an answer, if only a refusal.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    pub(super) fn failed(&mut self, now: Duration, rng: &mut Rng) {
        *self = match *self {
            Self::Here { faults } if faults + 1 < AWAY_AFTER => Self::Here { faults: faults + 1 },
            Self::Here { .. } => Self::Away {
                probes: 1,
                next: now.saturating_add(PROBE.delay(1, rng)),
            },
            Self::Away { probes, .. } => Self::Away {
                probes,
                next: now.saturating_add(PROBE.delay(probes, rng)),
            },
        };
    }

    /// A patch has started.
    pub(super) fn asked(&mut self) {
        // Patches that were under way when the API went do not count as probes.
        if let Self::Away { probes, .. } = self {
            *probes += 1;
        }
    }

    pub(super) fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }

    /// How many patches may be in flight.
    pub(super) fn most_in_flight(&self) -> usize {
        if self.is_away() { 1 } else { usize::MAX }
    }

    /// When the next patch may start, as far as the API is concerned.
    pub(super) fn next(&self) -> Duration {
        match self {
            Self::Here { .. } => Duration::ZERO,
            Self::Away { next, .. } => *next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_away_after_three_faults_in_a_row_and_here_after_one_answer() {
        let mut rng = Rng::with_seed(1);
        let mut api = Api::default();
        for _ in 0..9 {
            api.failed(Duration::ZERO, &mut rng);
            api.failed(Duration::ZERO, &mut rng);
            assert!(!api.is_away());
            api.answered();
        }
        (0..3).for_each(|_| api.failed(Duration::ZERO, &mut rng));
        assert!(api.is_away());
        api.answered();
        assert!(!api.is_away());
    }

    #[test]
    fn probes_become_rarer_but_not_rarer_than_five_seconds() {
        let mut rng = Rng::with_seed(1);
        let mut api = Api::default();
        (0..3).for_each(|_| api.failed(Duration::ZERO, &mut rng));
        assert!(api.next() <= Duration::from_millis(200));
        for _ in 0..30 {
            api.asked();
            api.failed(Duration::ZERO, &mut rng);
        }
        let longest = Duration::from_secs(5);
        assert!((longest / 2..=longest).contains(&api.next()));
    }
}
