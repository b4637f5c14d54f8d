//! Delays patches while a backlog is pulled, so that after an outage each target is patched once, for the newest
//! of its events.

use std::time::Duration;

/// The longest delay. ESO takes a tenth of a second and more for each refresh, so the work would wait there
/// instead.
const MAX_DELAY: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum BacklogDelay {
    /// The last delivery was the newest message, or another replica took the others.
    #[default]
    CaughtUp,
    /// More messages wait: no patch starts before `until`.
    Pulling { until: Duration },
    /// More messages wait than can be held: those that are held are patched.
    Full,
}

impl BacklogDelay {
    /// A message was delivered, and `pending` more wait behind it. `full`: no more can be held.
    pub(super) fn delivered(&mut self, now: Duration, pending: u64, full: bool) {
        *self = match *self {
            _ if pending == 0 => Self::CaughtUp,
            _ if full => Self::Full,
            // Once per backlog: a stream that never ends must not delay patches for ever.
            Self::CaughtUp => Self::Pulling {
                until: now.saturating_add(MAX_DELAY),
            },
            behind => behind,
        };
    }

    /// No message is left to pull.
    pub(super) fn caught_up(&mut self) {
        *self = Self::CaughtUp;
    }

    /// When patches may start.
    pub(super) fn next(self) -> Duration {
        match self {
            Self::Pulling { until } => until,
            Self::CaughtUp | Self::Full => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(60);

    #[test]
    fn a_message_with_nothing_behind_it_waits_for_nothing() {
        let mut delay = BacklogDelay::default();
        delay.delivered(NOW, 0, false);
        assert_eq!(delay.next(), Duration::ZERO);
    }

    #[test]
    fn a_backlog_delays_patches_for_a_bounded_time() {
        let mut delay = BacklogDelay::default();
        delay.delivered(NOW, 2, false);
        delay.delivered(NOW + MAX_DELAY / 2, 1, false);
        assert_eq!(delay.next(), NOW + MAX_DELAY, "once for a backlog");
        delay.delivered(NOW + MAX_DELAY * 2, 1, false);
        assert_eq!(
            delay.next(),
            NOW + MAX_DELAY,
            "not again before it has caught up"
        );
        delay.delivered(NOW + MAX_DELAY * 2, 0, false);
        assert_eq!(delay.next(), Duration::ZERO);
    }

    #[test]
    fn a_backlog_that_another_replica_took_is_not_waited_for() {
        let mut delay = BacklogDelay::default();
        delay.delivered(NOW, 2, false);
        delay.caught_up();
        assert_eq!(delay.next(), Duration::ZERO);
        // The next backlog has its own delay.
        delay.delivered(NOW + MAX_DELAY, 1, false);
        assert_eq!(delay.next(), NOW + MAX_DELAY * 2);
    }

    #[test]
    fn a_backlog_beyond_what_can_be_held_is_not_waited_for() {
        let mut delay = BacklogDelay::default();
        delay.delivered(NOW, 9, false);
        delay.delivered(NOW, 8, true);
        assert_eq!(delay.next(), Duration::ZERO);
        delay.delivered(NOW, 7, false);
        assert_eq!(delay.next(), Duration::ZERO);
    }
}
