//! Failures of the store hold the whole poll: one pause, however many requests have met it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use eso_relay::{Slug, admin::ProblemLog};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::poll::metrics::{Failure, Metrics};

const LONGEST: Duration = Duration::from_secs(60);
/// The longest `Retry-After` that is obeyed.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// Why the store answers nothing at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::poll) struct Fault {
    pub(in crate::poll) reason: Failure,
    /// Never quotes the answer.
    pub(in crate::poll) problem: String,
    /// How long the store asks to wait.
    pub(in crate::poll) retry_after: Option<Duration>,
}

pub(super) struct Gate {
    poll: Slug,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How often it has closed.
    epoch: u64,
    /// Closings since the last answer.
    closings: u32,
    /// How many requests were answered.
    answers: u64,
    until: Option<Instant>,
    logged: ProblemLog,
}

impl Gate {
    pub(super) fn new(poll: Slug, metrics: Metrics) -> Self {
        Self {
            poll,
            metrics,
            state: Mutex::default(),
        }
    }

    /// Waits until requests may be made; returns the epoch for [`Self::works`] and [`Self::close`].
    pub(super) async fn pass(&self) -> u64 {
        loop {
            let until = {
                let state = self.lock();
                match state.until.filter(|until| *until > Instant::now()) {
                    None => return state.epoch,
                    Some(until) => until,
                }
            };
            sleep_until(until).await;
        }
    }

    /// The store has answered a request of this epoch.
    pub(super) fn works(&self, epoch: u64) {
        let mut state = self.lock();
        state.answers += 1;
        if epoch == state.epoch && state.closings > 0 {
            state.closings = 0;
            state.until = None;
            state.logged.clear();
            info!(poll = %self.poll, "the polled store answers again");
        }
    }

    /// A request of this epoch has failed. Those that began before it count no more.
    pub(super) fn close(&self, epoch: u64, fault: &Fault) {
        let mut state = self.lock();
        if epoch != state.epoch {
            return;
        }
        let pause = pause(state.closings).max(fault.retry_after.unwrap_or_default());
        state.epoch += 1;
        state.closings = state.closings.saturating_add(1);
        state.until = Some(Instant::now() + pause.min(LONGEST_ASKED));
        self.metrics.failed(&self.poll, fault.reason);
        // By its reason: the words of a failed connection change.
        if state.logged.is_new(fault.reason.as_str()) {
            let (reason, problem) = (fault.reason.as_str(), &fault.problem);
            warn!(poll = %self.poll, reason, problem, "cannot poll the store; trying again");
        }
    }

    /// How many requests were answered until now.
    pub(super) fn answers(&self) -> u64 {
        self.lock().answers
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Half to all of 1 s, 2 s, 4 s, …
fn pause(closings: u32) -> Duration {
    let full = LONGEST.min(Duration::from_secs(1 << closings.min(6)));
    full.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(seconds: Option<u64>) -> Fault {
        Fault {
            reason: Failure::Throttled,
            problem: "busy".to_owned(),
            retry_after: seconds.map(Duration::from_secs),
        }
    }

    fn gate() -> Gate {
        Gate::new("vault".parse().unwrap(), Metrics::default())
    }

    #[tokio::test(start_paused = true)]
    async fn eight_failures_at_once_are_one_pause() {
        let gate = gate();
        let epoch = gate.pass().await;
        for _ in 0..8 {
            gate.close(epoch, &fault(None));
        }
        let before = Instant::now();
        let next = gate.pass().await;
        assert_eq!(next, epoch + 1);
        assert!(before.elapsed() <= Duration::from_secs(1));
        // One that was on its way since before does not open it.
        gate.close(next, &fault(None));
        gate.works(next);
        assert_eq!(gate.lock().closings, 2);
        let last = gate.pass().await;
        gate.works(last);
        assert_eq!(gate.lock().closings, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_asks_for_a_pause_gets_it() {
        let gate = gate();
        let before = Instant::now();
        gate.close(gate.pass().await, &fault(Some(90)));
        gate.pass().await;
        assert!(before.elapsed() >= Duration::from_secs(90));
        gate.close(1, &fault(Some(u64::MAX / 4)));
        gate.pass().await;
        assert!(before.elapsed() <= Duration::from_secs(4000));
    }

    #[test]
    fn pauses_grow_to_a_minute() {
        for (closings, most) in [(0, 1), (3, 8), (100, 60)] {
            let pause = pause(closings);
            let most = Duration::from_secs(most);
            assert!(pause >= most / 2 && pause <= most, "{closings}: {pause:?}");
        }
    }
}
