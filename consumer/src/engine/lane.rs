//! Which target is patched next: first come, first served, within a bound and a rate.
//!
//! This is the lane of exact matches. Mass work gets a lane of its own beside it.

use std::{collections::BTreeMap, time::Duration};

use crate::target::Target;

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

#[derive(Debug)]
pub(super) struct Lane {
    ready: BTreeMap<Ticket, Target>,
    issued: u64,
    in_flight: usize,
    limit: usize,
    pace: Option<Pace>,
}

impl Lane {
    pub(super) fn new(limit: usize, per_second: Option<f64>) -> Self {
        Self {
            ready: BTreeMap::new(),
            issued: 0,
            in_flight: 0,
            limit: limit.max(1),
            pace: per_second.and_then(Pace::new),
        }
    }

    /// To the end of the queue.
    pub(super) fn push(&mut self, target: Target) -> Ticket {
        let ticket = Ticket(self.issued);
        self.issued += 1;
        self.ready.insert(ticket, target);
        ticket
    }

    pub(super) fn remove(&mut self, ticket: Ticket) {
        self.ready.remove(&ticket);
    }

    /// The next target whose patch may start now, with at most `most` in flight.
    pub(super) fn start(&mut self, now: Duration, most: usize) -> Option<Target> {
        if self.wake_at(most)? > now {
            return None;
        }
        let (_, target) = self.ready.pop_first()?;
        self.in_flight += 1;
        if let Some(pace) = &mut self.pace {
            pace.take(now);
        }
        Some(target)
    }

    /// A patch has ended.
    pub(super) fn ended(&mut self) {
        self.in_flight -= 1;
    }

    /// When the next patch may start, if only time is wanting.
    pub(super) fn wake_at(&self, most: usize) -> Option<Duration> {
        if self.ready.is_empty() || self.in_flight >= self.limit.min(most) {
            return None;
        }
        Some(self.pace.as_ref().map_or(Duration::ZERO, Pace::next))
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.ready.len()
    }
}

/// A token bucket that holds one second's worth, as the time at which it is full again: whole
/// nanoseconds, so that a wake-up is never a rounding error too early.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    /// How far ahead of the rate a burst may run.
    burst: Duration,
    full_at: Duration,
}

impl Pace {
    fn new(per_second: f64) -> Option<Self> {
        let interval = Duration::try_from_secs_f64(per_second.recip()).ok()?;
        Some(Self {
            interval,
            burst: Duration::from_secs(1).saturating_sub(interval),
            full_at: Duration::ZERO,
        })
    }

    fn next(&self) -> Duration {
        self.full_at.saturating_sub(self.burst)
    }

    fn take(&mut self, now: Duration) {
        self.full_at = self.full_at.max(now).saturating_add(self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lane(limit: usize, per_second: Option<f64>, targets: u8) -> Lane {
        let mut lane = Lane::new(limit, per_second);
        for name in 0..targets {
            lane.push(Target::new("apps", &name.to_string()));
        }
        lane
    }

    fn started(lane: &mut Lane, now: Duration, most: usize) -> usize {
        std::iter::from_fn(|| lane.start(now, most)).count()
    }

    #[test]
    fn no_more_are_in_flight_than_the_limit() {
        let mut lane = lane(2, None, 5);
        assert_eq!(started(&mut lane, SECOND, usize::MAX), 2);
        lane.ended();
        assert_eq!(started(&mut lane, SECOND, usize::MAX), 1);
        lane.ended();
        assert_eq!(started(&mut lane, SECOND, 1), 0);
    }

    #[test]
    fn the_rate_lets_a_burst_of_one_second_through_and_then_one_at_a_time() {
        let mut lane = lane(99, Some(4.0), 20);
        assert_eq!(started(&mut lane, SECOND, 99), 4);
        let next = lane.wake_at(99).unwrap();
        assert_eq!(next, SECOND + SECOND / 4);
        assert_eq!(started(&mut lane, next, 99), 1);
        assert_eq!(started(&mut lane, SECOND * 60, 99), 4);
    }

    #[test]
    fn a_rate_below_one_a_second_still_starts_one() {
        let mut lane = lane(99, Some(0.1), 3);
        assert_eq!(started(&mut lane, SECOND, 99), 1);
        assert_eq!(lane.wake_at(99), Some(SECOND * 11));
    }

    #[test]
    fn a_rate_that_is_none_limits_nothing_and_stops_nothing() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(started(&mut lane(99, Some(rate), 9), SECOND, 99), 9);
        }
    }
}
