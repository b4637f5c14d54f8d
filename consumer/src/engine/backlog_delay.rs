//! A backlog is pulled before it is patched, so that after an absence each target is patched for the
//! newest of its events and not for each in turn.

use std::time::Duration;

/// The longest that patches wait for a backlog to be pulled. ESO itself takes a tenth of a second and
/// more for each refresh, so what waits here would wait there.
const LONGEST: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum BacklogDelay {
    /// The last delivery was the newest message there was, or another replica has taken the others.
    #[default]
    CaughtUp,
    /// More is waiting: no patch starts before `until`.
    Pulling { until: Duration },
    /// More is waiting than can be held: what is held goes first.
    Full,
}

impl BacklogDelay {
    /// A message has come, and `pending` more wait behind it. `full`: no more can be held.
    pub(super) fn delivered(&mut self, now: Duration, pending: u64, full: bool) {
        *self = match *self {
            _ if pending == 0 => Self::CaughtUp,
            _ if full => Self::Full,
            // Once until it has caught up: a stream that never ends must not hold patches back.
            Self::CaughtUp => Self::Pulling {
                until: now.saturating_add(LONGEST),
            },
            behind => behind,
        };
    }

    /// Nothing is left to pull.
    pub(super) fn caught_up(&mut self) {
        *self = Self::CaughtUp;
    }

    /// When patches may start, as far as a backlog is concerned.
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
    fn a_backlog_is_waited_for_until_its_last_message_but_not_for_ever() {
        let mut delay = BacklogDelay::default();
        delay.delivered(NOW, 2, false);
        delay.delivered(NOW + LONGEST / 2, 1, false);
        assert_eq!(delay.next(), NOW + LONGEST, "once for a backlog");
        delay.delivered(NOW + LONGEST * 2, 1, false);
        assert_eq!(
            delay.next(),
            NOW + LONGEST,
            "not again before it has caught up"
        );
        delay.delivered(NOW + LONGEST * 2, 0, false);
        assert_eq!(delay.next(), Duration::ZERO);
    }

    #[test]
    fn a_backlog_that_another_replica_took_is_not_waited_for() {
        let mut delay = BacklogDelay::default();
        delay.delivered(NOW, 2, false);
        delay.caught_up();
        assert_eq!(delay.next(), Duration::ZERO);
        // The next backlog is one of its own.
        delay.delivered(NOW + LONGEST, 1, false);
        assert_eq!(delay.next(), NOW + LONGEST * 2);
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
