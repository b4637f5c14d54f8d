//! Limits how many objects of mass work are patched and not yet synced by ESO.
//!
//! ESO drains its queue at its own speed: patching everything at once gains nothing, and makes an urgent refresh
//! wait for all of it. So the window is as small as possible without ESO becoming idle. Its size depends on ESO's
//! workers and the providers behind it, and follows the time from patch to sync: this is that of an idle ESO while
//! the window is too small, and grows with the window as soon as objects wait in ESO's queue (as in TCP Vegas:
//! Brakmo, O'Malley and Peterson 1994).
//!
//! An object that ESO skips is no sample of this time. It leaves the window after a multiple of the usual time.
//! If ESO syncs nothing at all, mass work proceeds by the smallest window every two seconds.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use crate::object::ObjectRef;

/// How many objects should wait in ESO's queue: enough that ESO is never idle, and few enough that an urgent one does
/// not wait long.
const QUEUED: std::ops::RangeInclusive<f64> = 0.5..=2.0;
/// How often the time of an idle ESO is measured again, with the smallest window.
const MEASURE_EVERY: Duration = Duration::from_secs(20);
/// How much longer ESO may take for each other outstanding object: more than twice as long as ESO takes by default.
pub(super) const SYNC_TIMEOUT_FOR_EACH: Duration = Duration::from_millis(250);
/// An object leaves the window after this multiple of the usual time to sync.
const USUAL_TIMES: u32 = 4;
/// It stays at least so long.
const LEAST_STAY: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Window {
    least: usize,
    most: usize,
    size: usize,
    /// Patched, and neither synced nor removed.
    outstanding: HashMap<ObjectRef, Stay>,
    /// Those in the window, by the time at which they leave without a sync.
    inside: BTreeSet<(Duration, ObjectRef)>,
    /// Their weight.
    taken: usize,
    /// The moving average of the time to sync.
    usual: Option<Duration>,
    /// How many have left without a sync since the last one.
    unsynced: usize,
    phase: Phase,
    round: Round,
}

#[derive(Debug, Clone, Copy)]
struct Stay {
    since: Duration,
    until: Duration,
    weight: usize,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The smallest window, until a round of patches from `since` on has measured an idle ESO.
    Measuring { since: Duration },
    /// `fast`: it doubles until objects wait in ESO's queue for the first time.
    Adapting {
        idle: Duration,
        since: Duration,
        fast: bool,
    },
}

/// As many syncs as the size of the window.
#[derive(Debug, Default)]
struct Round {
    syncs: u32,
    sum: Duration,
    shortest: Option<Duration>,
    /// Whether the window delayed work.
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
            inside: BTreeSet::new(),
            taken: 0,
            usual: None,
            unsynced: 0,
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
        self.inside.len()
    }

    /// Whether one more may enter, whatever its weight: a heavy one might never fit.
    pub(super) fn is_open(&self) -> bool {
        self.taken < self.size()
    }

    /// When the first leaves, if the window is full.
    pub(super) fn opens_at(&self) -> Option<Duration> {
        let first = self.inside.first().filter(|_| !self.is_open());
        first.map(|(until, _)| *until)
    }

    /// A patch starts.
    pub(super) fn enter(&mut self, now: Duration, target: ObjectRef, weight: usize) {
        // It waits in ESO's queue since its first patch.
        if !self.is_inside(&target) {
            let until = now.saturating_add(self.longest_stay(weight));
            self.taken += weight;
            self.inside.insert((until, target.clone()));
            let stay = Stay {
                since: now,
                until,
                weight,
            };
            self.outstanding.insert(target, stay);
        }
        self.round.full |= !self.is_open();
    }

    fn is_inside(&self, target: &ObjectRef) -> bool {
        let stay = self.outstanding.get(target);
        stay.is_some_and(|stay| self.inside.contains(&(stay.until, target.clone())))
    }

    fn longest_stay(&self, weight: usize) -> Duration {
        let usual = self.usual.unwrap_or_default().saturating_mul(USUAL_TIMES);
        let others = u32::try_from(weight.saturating_sub(1)).unwrap_or(u32::MAX);
        let others = SYNC_TIMEOUT_FOR_EACH.saturating_mul(others);
        usual.max(LEAST_STAY).saturating_add(others)
    }

    /// The object will not be synced for this patch.
    pub(super) fn leave(&mut self, target: &ObjectRef) {
        if let Some(stay) = self.outstanding.remove(target) {
            self.make_room(target.clone(), stay);
        }
    }

    /// Returns whether it was inside.
    fn make_room(&mut self, target: ObjectRef, stay: Stay) -> bool {
        let was_inside = self.inside.remove(&(stay.until, target));
        if was_inside {
            self.taken -= stay.weight;
        }
        was_inside
    }

    /// Removes those that ESO seems to skip. They stay known, as a late sync shows that ESO is slow.
    pub(super) fn expire(&mut self, now: Duration) {
        while self.inside.first().is_some_and(|(until, _)| *until <= now) {
            let late = self.inside.pop_first();
            let stay = late.and_then(|(_, target)| self.outstanding.get(&target));
            self.taken -= stay.map_or(0, |stay| stay.weight);
            self.unsynced += 1;
            if self.unsynced >= self.size() {
                self.restart(now);
            }
        }
    }

    /// ESO is not running, skips everything, or is overloaded.
    fn restart(&mut self, now: Duration) {
        self.unsynced = 0;
        self.size = self.least;
        self.round = Round::default();
        self.phase = Phase::Measuring { since: now };
    }

    /// ESO has synced the object.
    pub(super) fn synced(&mut self, now: Duration, target: &ObjectRef) {
        let Some(stay) = self.outstanding.remove(target) else {
            return;
        };
        let in_time = self.make_room(target.clone(), stay) && now < stay.until;
        self.unsynced = 0;
        let is_one_object = stay.weight == 1;
        if !is_one_object {
            return;
        }
        let took = now.saturating_sub(stay.since);
        self.learn(took);
        let is_measured = !matches!(self.phase, Phase::Measuring { since } if stay.since < since);
        if in_time && is_measured {
            self.round.add(took);
            if self.round.syncs as usize >= self.size() {
                let round = std::mem::take(&mut self.round);
                self.adapt(now, &round);
            }
        }
    }

    /// A moving average, like that of TCP's round-trip time.
    fn learn(&mut self, took: Duration) {
        self.usual = Some(self.usual.map_or(took, |usual| usual * 7 / 8 + took / 8));
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

    /// How many outstanding objects wait behind others: by Little's law, the share of their time that an idle ESO
    /// would not take.
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
                reason = "it is less than the size"
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

    /// The size for an ESO whose workers take a second each; the window is always full.
    fn size_after(window: &mut Window, workers: u64, syncs: u64) -> usize {
        let mut free: Vec<u64> = vec![0; usize::try_from(workers).unwrap()];
        let (mut now, mut next, mut queue) = (0, 0_u64, std::collections::VecDeque::new());
        for _ in 0..syncs {
            while window.is_open() {
                let target = ObjectRef::new("apps", &next.to_string());
                window.enter(Duration::from_secs(now), target.clone(), 1);
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

    fn target(name: &str) -> ObjectRef {
        ObjectRef::new("apps", name)
    }

    /// These enter, and ESO skips them.
    fn skip(window: &mut Window, now: Duration, names: std::ops::Range<usize>) {
        for name in names {
            window.enter(now, target(&name.to_string()), 1);
        }
    }

    #[test]
    fn silent_objects_neither_close_nor_enlarge_it() {
        let mut window = Window::new(4, 256);
        skip(&mut window, Duration::ZERO, 0..4);
        assert!(!window.is_open());
        assert_eq!(window.opens_at(), Some(LEAST_STAY));
        window.expire(LEAST_STAY);
        assert!(window.is_open());
        skip(&mut window, LEAST_STAY, 4..6);
        window.expire(LEAST_STAY * 2);
        assert_eq!((window.size(), window.outstanding()), (4, 0));
        (0..6).for_each(|name| window.leave(&target(&name.to_string())));
        assert_eq!((window.size(), window.outstanding.len()), (4, 0));
    }

    #[test]
    fn silent_objects_stay_longer_where_syncs_take_longer() {
        let mut window = Window::new(4, 256);
        let (mut now, took) = (Duration::ZERO, Duration::from_secs(3));
        for _ in 0..100 {
            window.enter(now, target("slow"), 1);
            now += took;
            // Late at first, but measured too.
            window.expire(now);
            window.synced(now, &target("slow"));
        }
        skip(&mut window, now, 0..256);
        assert_eq!(window.opens_at(), Some(now + took * USUAL_TIMES));
    }

    #[test]
    fn an_eso_that_goes_away_leaves_the_smallest_window() {
        let mut window = Window::new(4, 256);
        assert!(size_after(&mut window, 40, 20_000) > 8);
        let now = Duration::from_secs(100_000);
        (0..256).for_each(|name| skip(&mut window, now, name..name + 1));
        window.expire(now + Duration::from_secs(60));
        assert_eq!((window.size(), window.outstanding()), (4, 0));
    }

    #[test]
    fn a_heavy_one_enters_any_open_window_and_closes_it() {
        let mut window = Window::new(4, 256);
        window.enter(Duration::ZERO, target("owner"), 1_000);
        assert!(!window.is_open());
        window.synced(Duration::from_secs(1), &target("owner"));
        assert!(window.is_open());
        assert_eq!(window.usual, None, "a heavy one is no sample");
    }

    #[test]
    fn one_that_was_never_in_it_leaves_nothing_behind() {
        let mut window = Window::new(1, 1);
        let (a, b) = (target("a"), target("b"));
        window.enter(Duration::ZERO, a.clone(), 1);
        window.synced(Duration::ZERO, &b);
        window.leave(&b);
        assert!(!window.is_open());
        window.leave(&a);
        assert!(window.is_open());
    }
}
