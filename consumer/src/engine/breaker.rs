//! The health of the Kubernetes API as a whole.
//!
//! A failed patch says little about it: a webhook that is down fails every patch of one namespace, and an
//! object too large for etcd every patch of its own. So faults only start a *probe*, a request that depends on
//! no object, whose result decides.

use std::time::Duration;

use fastrand::Rng;

use super::backoff::PROBE;

/// So many faults without a response in between start a probe.
const FAULTS: u32 = 3;
/// How long an answered probe counts, so that failing objects do not cause one probe after the other.
const TRUST: Duration = Duration::from_secs(1);

/// While it is open, nothing is patched or pulled.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker {
    state: State,
    /// Whether a probe is in flight; there is at most one.
    probing: bool,
}

#[derive(Debug)]
enum State {
    /// `faults`: since the last response; those before `trusted_until` do not count.
    Closed {
        faults: u32,
        trusted_until: Duration,
    },
    /// `probes`: how many were not answered.
    Open { probes: u64 },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed {
            faults: 0,
            trusted_until: Duration::ZERO,
        }
    }
}

impl CircuitBreaker {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Whether a fault may be one of the API: it is open, or a probe is in flight.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.is_open() || self.probing
    }

    /// A patch got a response, even a refusal. Returns whether this closes it.
    pub(super) fn answered(&mut self) -> bool {
        let closes = self.is_open();
        match &mut self.state {
            State::Closed { faults, .. } => *faults = 0,
            State::Open { .. } => self.state = State::default(),
        }
        closes
    }

    /// A patch failed, perhaps because of the API. Returns whether to probe now.
    pub(super) fn failed(&mut self, now: Duration) -> bool {
        match &mut self.state {
            State::Closed {
                faults,
                trusted_until,
            } if *trusted_until <= now => {
                *faults = faults.saturating_add(1);
                let asks = *faults >= FAULTS && !self.probing;
                self.probing |= asks;
                asks
            }
            State::Closed { .. } | State::Open { .. } => false,
        }
    }

    /// The next probe of an unavailable API is due. Returns whether to probe now.
    pub(super) fn probe(&mut self) -> bool {
        let asks = self.is_open() && !self.probing;
        self.probing |= asks;
        asks
    }

    /// The probe has a result. Returns when the next one is due.
    pub(super) fn probed(
        &mut self,
        now: Duration,
        answered: bool,
        rng: &mut Rng,
    ) -> Option<Duration> {
        self.probing = false;
        let probes = match self.state {
            _ if answered => {
                let trusted_until = now.saturating_add(TRUST);
                self.state = State::Closed {
                    faults: 0,
                    trusted_until,
                };
                return None;
            }
            // A patch got a response meanwhile.
            State::Closed { faults, .. } if faults < FAULTS => return None,
            State::Closed { .. } => 1,
            State::Open { probes } => probes + 1,
        };
        self.state = State::Open { probes };
        Some(now.saturating_add(PROBE.delay(probes, rng)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(60);

    fn rng() -> Rng {
        Rng::with_seed(1)
    }

    /// After three faults and an unanswered probe.
    fn open() -> CircuitBreaker {
        let mut breaker = CircuitBreaker::default();
        assert_eq!([(); 3].map(|()| breaker.failed(NOW)), [false, false, true]);
        assert!(breaker.probed(NOW, false, &mut rng()).is_some());
        breaker
    }

    #[test]
    fn only_an_unanswered_probe_opens_it() {
        let mut breaker = CircuitBreaker::default();
        for _ in 0..100 {
            breaker.failed(NOW);
            assert!(!breaker.is_open());
        }
        breaker.probed(NOW, false, &mut rng());
        assert!(breaker.is_open());
    }

    #[test]
    fn an_answer_between_faults_asks_for_no_probe() {
        let mut breaker = CircuitBreaker::default();
        for _ in 0..9 {
            assert!(!breaker.failed(NOW) && !breaker.failed(NOW));
            breaker.answered();
        }
    }

    #[test]
    fn an_answer_outweighs_the_probe_under_way() {
        let mut breaker = CircuitBreaker::default();
        assert!([(); 3].map(|()| breaker.failed(NOW))[2]);
        breaker.answered();
        assert_eq!(breaker.probed(NOW, false, &mut rng()), None);
        assert!(!breaker.is_open());
    }

    #[test]
    fn objects_that_keep_failing_cause_one_probe_a_second() {
        let mut breaker = CircuitBreaker::default();
        let mut probes = 0;
        for millis in 0..10_000 {
            let now = NOW + Duration::from_millis(millis);
            if breaker.failed(now) {
                breaker.probed(now, true, &mut rng());
                probes += 1;
            }
        }
        assert!((9..=10).contains(&probes), "{probes}");
    }

    #[test]
    fn any_answer_closes_it() {
        let mut breaker = open();
        assert!(breaker.answered() && !breaker.is_open());
        let mut breaker = open();
        assert!(breaker.probe(), "one probe at a time");
        assert!(!breaker.probe());
        assert_eq!(breaker.probed(NOW, true, &mut rng()), None);
        assert!(!breaker.is_open());
    }

    #[test]
    fn probes_become_rarer_up_to_five_seconds() {
        let (mut breaker, mut rng) = (open(), rng());
        let mut next = NOW;
        for _ in 0..30 {
            assert!(breaker.probe());
            next = breaker.probed(NOW, false, &mut rng).unwrap();
        }
        let longest = Duration::from_secs(5);
        assert!((longest / 2..=longest).contains(&next.saturating_sub(NOW)));
    }
}
