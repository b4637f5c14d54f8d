//! How many objects of mass work may be patched and not yet synced by ESO.
//!
//! ESO drains its queue at its own speed, whatever one does: patching everything at once gains
//! nothing and makes an urgent refresh wait for all of it. So the window is as small as it can be
//! without ESO running dry. How small that is depends on ESO's workers and the providers behind it:
//! the time from patch to sync tells. It is that of an idle ESO while the window is too small, and
//! grows with it as soon as objects only wait (as in TCP Vegas: Brakmo, O'Malley and Peterson 1994).

use std::{collections::HashMap, time::Duration};

use crate::target::Target;

/// So many objects at least are to wait in ESO's queue, so that it never runs dry, and so many at
/// most, so that an urgent one waits for few.
const QUEUED: std::ops::RangeInclusive<f64> = 0.5..=2.0;
/// How often the time of an idle ESO is measured anew, with the smallest window.
const MEASURE_EVERY: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Window {
    least: usize,
    most: usize,
    size: usize,
    /// Since when.
    outstanding: HashMap<Target, Duration>,
    phase: Phase,
    round: Round,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The smallest window, until a round of what started `since` has shown how long ESO takes.
    Measuring { since: Duration },
    /// `fast`: it doubles, until something waits in ESO's queue for the first time.
    Adapting {
        idle: Duration,
        since: Duration,
        fast: bool,
    },
}

/// As many syncs as the window is large.
#[derive(Debug, Default)]
struct Round {
    syncs: u32,
    sum: Duration,
    shortest: Option<Duration>,
    /// Whether the window was what held work back.
    full: bool,
}

impl Window {
    pub(super) fn new(least: usize, most: usize) -> Self {
        let least = least.max(1);
        Self {
            least,
            most: most.max(least),
            size: least,
            outstanding: HashMap::new(),
            phase: Phase::Measuring {
                since: Duration::ZERO,
            },
            round: Round::default(),
        }
    }

    pub(super) fn size(&self) -> usize {
        match self.phase {
            Phase::Measuring { .. } => self.least,
            Phase::Adapting { .. } => self.size,
        }
    }

    #[cfg(test)]
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    pub(super) fn is_open(&self) -> bool {
        self.outstanding.len() < self.size()
    }

    /// A patch starts.
    pub(super) fn enter(&mut self, now: Duration, target: Target) {
        self.outstanding.entry(target).or_insert(now);
        self.round.full |= !self.is_open();
    }

    /// It has come to nothing, or ESO has failed with it.
    pub(super) fn leave(&mut self, target: &Target) {
        self.outstanding.remove(target);
    }

    /// ESO has not said a word about it. Perhaps it never will: work must go on, though blindly.
    pub(super) fn silent(&mut self, now: Duration, target: &Target) {
        if self.outstanding.remove(target).is_some() {
            self.size = self.size.saturating_mul(2).min(self.most);
            self.round = Round::default();
            self.phase = Phase::Adapting {
                idle: Duration::MAX,
                since: now,
                fast: false,
            };
        }
    }

    /// ESO has synced it.
    pub(super) fn synced(&mut self, now: Duration, target: &Target) {
        let Some(started) = self.outstanding.remove(target) else {
            return;
        };
        if let Phase::Measuring { since } = self.phase
            && started < since
        {
            return;
        }
        self.round.add(now.saturating_sub(started));
        if self.round.syncs as usize >= self.size() {
            let round = std::mem::take(&mut self.round);
            self.adapt(now, &round);
        }
    }

    fn adapt(&mut self, now: Duration, round: &Round) {
        match self.phase {
            Phase::Measuring { .. } => {
                self.phase = Phase::Adapting {
                    idle: round.shortest.unwrap_or_default(),
                    since: now,
                    fast: self.size == self.least,
                };
            }
            Phase::Adapting { idle, since, fast } => {
                let queued = self.queued(idle, round);
                let fast = fast && queued < *QUEUED.start();
                self.resize(queued, fast && round.full, round.full);
                self.phase = if now.saturating_sub(since) > MEASURE_EVERY {
                    Phase::Measuring { since: now }
                } else {
                    Phase::Adapting { idle, since, fast }
                };
            }
        }
    }

    /// How many of the outstanding wait behind others: by Little's law the share of their time that an
    /// idle ESO would not take.
    fn queued(&self, idle: Duration, round: &Round) -> f64 {
        let mean = round.sum / round.syncs.max(1);
        let share = idle.as_secs_f64() / mean.as_secs_f64().max(f64::MIN_POSITIVE);
        as_number(self.size) * (1.0 - share)
    }

    fn resize(&mut self, queued: f64, doubles: bool, full: bool) {
        let (few, many) = (*QUEUED.start(), *QUEUED.end());
        let size = if doubles {
            self.size.saturating_mul(2)
        } else if queued < few && full {
            self.size + 1
        } else if queued > many {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is below the size"
            )]
            let too_many = ((queued - many) / 2.0).ceil() as usize;
            self.size.saturating_sub(too_many)
        } else {
            self.size
        };
        self.size = size.clamp(self.least, self.most);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a window has few digits")]
fn as_number(size: usize) -> f64 {
    size as f64
}

impl Round {
    fn add(&mut self, took: Duration) {
        self.syncs += 1;
        self.sum += took;
        self.shortest = Some(self.shortest.map_or(took, |shortest| shortest.min(took)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ESO with so many workers, each of which takes a second; the window is always full.
    fn size_after(window: &mut Window, workers: u64, syncs: u64) -> usize {
        let mut free: Vec<u64> = vec![0; usize::try_from(workers).unwrap()];
        let (mut now, mut next, mut queue) = (0, 0_u64, std::collections::VecDeque::new());
        for _ in 0..syncs {
            while window.is_open() {
                let target = Target::new("apps", &next.to_string());
                window.enter(Duration::from_secs(now), target.clone());
                queue.push_back((target, now));
                next += 1;
            }
            let (target, entered) = queue.pop_front().unwrap();
            let worker = free.iter_mut().min().unwrap();
            *worker = (*worker).max(entered) + 1;
            now = now.max(*worker);
            window.synced(Duration::from_secs(now), &target);
        }
        window.size
    }

    #[test]
    fn it_finds_the_eso_at_hand() {
        for (workers, sizes) in [(1, 4..=6), (10, 10..=14), (40, 40..=48)] {
            let mut window = Window::new(4, 256);
            let size = size_after(&mut window, workers, 20_000);
            assert!(sizes.contains(&size), "{workers} workers: {size}");
        }
    }

    #[test]
    fn it_stays_within_its_bounds() {
        assert_eq!(size_after(&mut Window::new(4, 8), 40, 5_000), 8);
        assert_eq!(size_after(&mut Window::new(16, 16), 1, 5_000), 16);
        assert_eq!(Window::new(0, 0).size(), 1);
    }

    #[test]
    fn what_an_eso_never_speaks_of_leaves_ever_more_room_and_takes_it_back_when_it_does() {
        let mut window = Window::new(4, 256);
        for number in 0..100 {
            let target = Target::new("apps", &format!("silent-{number}"));
            window.enter(Duration::ZERO, target.clone());
            window.silent(Duration::ZERO, &target);
        }
        assert_eq!((window.size(), window.outstanding()), (256, 0));
        let size = size_after(&mut window, 1, 20_000);
        assert!(size <= 8, "{size}");
    }

    #[test]
    fn who_was_never_in_it_leaves_nothing_behind() {
        let mut window = Window::new(1, 1);
        let (a, b) = (Target::new("apps", "a"), Target::new("apps", "b"));
        window.enter(Duration::ZERO, a.clone());
        window.synced(Duration::ZERO, &b);
        window.leave(&b);
        window.silent(Duration::ZERO, &b);
        assert!(!window.is_open());
        window.leave(&a);
        assert!(window.is_open());
    }
}
