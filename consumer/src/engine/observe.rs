//! Observes whether ESO has synced an object since its patch.
//!
//! The watch shows it without a call to the API. Only a delivery whose restarts follow waits for it. After a failure
//! of ESO nothing is patched again: ESO retries by itself.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    time::Duration,
};

use eso_relay::event::Fingerprint;

use super::{
    Engine, NotRestarted, Output, Step, held::Version, timers::Timer, window::SYNC_TIMEOUT_FOR_EACH,
};
use crate::object::{ObjectRef, RefreshMark, Sequence, SyncState};

/// How long ESO may take for one object when it is idle.
const SYNC_TIMEOUT: Duration = Duration::from_secs(30);
/// After a failure of ESO, which retries by itself, at first after a second.
const FAILURE_TIMEOUT: Duration = Duration::from_secs(10);
/// The targets that were patched and that ESO has not synced yet.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    targets: HashMap<ObjectRef, Expected>,
    pub(super) events: usize,
    /// How many objects ESO has to sync for them.
    objects: usize,
}

#[derive(Debug)]
struct Expected {
    /// Oldest first.
    values: VecDeque<Awaited>,
    /// The last sync state that the watch has shown.
    sync: SyncState,
    /// How many objects ESO has to sync for it; 0 once it is overdue, and only a restart still waits.
    weight: usize,
}

impl Expected {
    /// When ESO must have synced the first of them.
    fn until(&self) -> Option<Duration> {
        self.values.iter().find_map(|written| written.until)
    }
}

/// A mark that an object carries, whose sync is expected.
pub(super) struct Expect {
    pub(super) version: Version,
    pub(super) value: RefreshMark,
    /// The sync state before the patch.
    pub(super) before: SyncState,
    /// Whether the watch has shown it, or only the API's response.
    pub(super) seen: bool,
    pub(super) events: Vec<Fingerprint>,
    /// The deliveries whose restarts follow.
    pub(super) followers: Vec<Sequence>,
}

#[derive(Debug)]
struct Awaited {
    value: RefreshMark,
    /// The version of its event.
    version: Version,
    at: Duration,
    /// `None`: it is overdue and reported, and only a restart still waits for it.
    until: Option<Duration>,
    /// The sync state before the patch.
    before: SyncState,
    /// Whether the watch has shown the mark.
    seen: bool,
    /// Its event and the older ones that it answers for.
    events: Vec<Fingerprint>,
    /// The deliveries whose restarts follow this sync.
    followers: Vec<Sequence>,
}

impl Awaited {
    /// Whether this state, shown together with the mark, says that ESO has synced the object since the patch.
    fn is_synced(&self, sync: SyncState) -> bool {
        match sync {
            SyncState::Synced | SyncState::Emptied => true,
            SyncState::Unknown { .. } => sync != self.before,
            SyncState::Waiting | SyncState::Failed | SyncState::Returned => false,
        }
    }
}

impl Outstanding {
    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    #[cfg(test)]
    pub(super) fn values(&self) -> usize {
        let targets = self.targets.values();
        targets.map(|expected| expected.values.len()).sum()
    }
}

impl Engine {
    /// The object carries the mark, so a sync is expected.
    pub(super) fn expect(&mut self, now: Duration, target: &ObjectRef, expect: Expect) {
        if self.stopping {
            return;
        }
        let Expect {
            version,
            value,
            before,
            seen,
            mut events,
            mut followers,
        } = expect;
        if self.outstanding.events + self.answered + events.len() > self.settings.max_events {
            events = Vec::new();
        }
        self.outstanding.events += events.len();
        let weight = self.targets.get(target).map_or(1, |work| work.weight);
        let expected = self.outstanding.targets.entry(target.clone());
        let expected = expected.or_insert_with(|| Expected {
            values: VecDeque::new(),
            sync: before,
            weight: 0,
        });
        if expected.weight == 0 {
            expected.weight = weight;
            self.outstanding.objects += weight;
        }
        let others = u32::try_from(self.outstanding.objects.saturating_sub(1)).unwrap_or(u32::MAX);
        let timeout = SYNC_TIMEOUT.saturating_add(SYNC_TIMEOUT_FOR_EACH.saturating_mul(others));
        let values = &mut expected.values;
        // A mark that the watch shows is older than those that it has not shown yet.
        let unseen = || values.iter().position(|written| !written.seen);
        let place = seen.then(unseen).flatten().unwrap_or(values.len());
        let is_last = place == values.len();
        if let Some(last) = values.back_mut()
            && is_last
            && last.events.is_empty()
            && last.until.is_some()
            && events.is_empty()
        {
            // Both only say that the object waits for ESO, which it does since the first.
            (last.version, last.value) = (version, value);
            (last.before, last.seen) = (before, seen);
            let in_progress = &self.in_progress;
            last.followers.retain(|sequence| {
                let delivery = in_progress.get(sequence);
                delivery.is_some_and(|delivery| delivery.follows(target))
            });
            last.followers.append(&mut followers);
            return;
        }
        let written = Awaited {
            value,
            version,
            at: now,
            until: Some(now.saturating_add(timeout)),
            before,
            seen,
            events,
            followers,
        };
        values.insert(place, written);
        self.set_timeout(target);
    }

    /// The watch has shown the object's mark and sync state.
    pub(super) fn observe(
        &mut self,
        now: Duration,
        target: &ObjectRef,
        value: Option<RefreshMark>,
        sync: SyncState,
    ) {
        let Some(expected) = self.outstanding.targets.get_mut(target) else {
            return;
        };
        let was = mem::replace(&mut expected.sync, sync);
        let mut places = expected
            .values
            .iter()
            .rposition(|it| Some(it.value) == value);
        if let Some(place) = places {
            // Another replica may have written this mark first, so it proves no event newer than its own.
            let version = expected.values[place].version;
            for written in expected.values.range_mut(..=place) {
                written.seen |= written.version <= version;
            }
        } else {
            // Somebody else changed the object after the patch; before the patch was shown this says nothing.
            places = expected.values.iter().rposition(|written| written.seen);
        }
        let Some(place) = places else {
            return;
        };
        let is_synced = expected.values[place].is_synced(sync);
        // From now on a change is measured from this state, so that a reset status counts.
        for written in expected.values.range_mut(..=place) {
            written.before = sync;
        }
        if is_synced {
            let shown: Vec<_> = expected.values.drain(..=place).collect();
            let (mut done, unseen): (Vec<_>, Vec<_>) =
                shown.into_iter().partition(|written| written.seen);
            for written in unseen.into_iter().rev() {
                expected.values.push_front(written);
            }
            let followers = take_followers(&mut done);
            self.report_step(now, target, done, Step::Synced);
            if sync == SyncState::Emptied {
                self.target_ended(now, target, followers, NotRestarted::NoSecret);
            } else {
                self.target_synced(now, target, followers);
            }
        } else if sync == SyncState::Failed && was != SyncState::Failed {
            let soon = now.saturating_add(FAILURE_TIMEOUT);
            for written in &mut expected.values {
                written.until = written.until.map(|until| until.min(soon));
            }
            // ESO has processed it, and retries when it chooses to.
            self.lanes.window().leave(target);
            self.set_timeout(target);
        }
    }

    /// Whether this is the newest mark that ESO is expected to sync: a newer one would answer for it.
    pub(crate) fn expects(&self, target: &ObjectRef, value: RefreshMark) -> bool {
        let expected = self.outstanding.targets.get(target);
        let newest = expected.and_then(|expected| expected.values.back());
        newest.is_some_and(|newest| newest.value == value)
    }

    /// ESO has not synced the object in time.
    pub(super) fn overdue(&mut self, now: Duration, target: &ObjectRef) {
        let Some(expected) = self.outstanding.targets.get_mut(target) else {
            return;
        };
        let step = match expected.sync {
            SyncState::Failed => Step::Failed,
            SyncState::Synced
            | SyncState::Emptied
            | SyncState::Waiting
            | SyncState::Returned
            | SyncState::Unknown { .. } => Step::Silent,
        };
        let due = |written: &&Awaited| written.until.is_none_or(|until| until <= now);
        let due = expected.values.iter().take_while(due).count();
        let done: Vec<_> = expected.values.drain(..due).collect();
        // ESO retries by itself, and a restart follows also then.
        let mut late = Vec::new();
        let in_progress = &self.in_progress;
        let follows = |sequence: &Sequence| {
            let delivery = in_progress.get(sequence);
            delivery.is_some_and(|delivery| delivery.follows(target))
        };
        let followed = |written: &&Awaited| written.followers.iter().any(follows);
        for written in done.iter().rev().filter(followed) {
            late.extend(&written.followers);
            expected.values.push_front(Awaited {
                until: None,
                events: Vec::new(),
                followers: written.followers.clone(),
                ..*written
            });
        }
        self.report_step(now, target, done, step);
        self.target_is_late(now, target, &late);
    }

    /// The object is gone, so no sync is expected.
    pub(super) fn vanished(&mut self, now: Duration, target: &ObjectRef) {
        if let Some(expected) = self.outstanding.targets.get_mut(target) {
            let mut all = Vec::from(mem::take(&mut expected.values));
            let followers = take_followers(&mut all);
            self.report_step(now, target, all, Step::Gone);
            self.target_ended(now, target, followers, NotRestarted::Gone);
        }
    }

    /// The process ends and does not wait for ESO.
    pub(super) fn expect_nothing(&mut self) {
        for (target, _) in mem::take(&mut self.outstanding).targets {
            self.timers.cancel(&Timer::Overdue(target));
        }
    }

    fn report_step(
        &mut self,
        now: Duration,
        target: &ObjectRef,
        done: impl IntoIterator<Item = Awaited>,
        step: Step,
    ) {
        for written in done {
            self.outstanding.events -= written.events.len();
            let after = now.saturating_sub(written.at);
            for event in written.events {
                self.outputs.push_back(Output::Step {
                    event,
                    target: target.clone(),
                    step,
                    after,
                });
            }
        }
        self.set_timeout(target);
        let expected = self.outstanding.targets.get(target);
        if expected.is_none_or(|expected| expected.weight == 0) {
            match step {
                Step::Synced => self.lanes.window().synced(now, target),
                _ => self.lanes.window().leave(target),
            }
        }
    }

    fn set_timeout(&mut self, target: &ObjectRef) {
        let timer = Timer::Overdue(target.clone());
        let expected = self.outstanding.targets.get(target);
        if let Some(until) = expected.and_then(Expected::until) {
            self.timers.set(timer, until);
            return;
        }
        self.timers.cancel(&timer);
        if let Some(expected) = self.outstanding.targets.get_mut(target) {
            self.outstanding.objects -= mem::take(&mut expected.weight);
            if expected.values.is_empty() {
                self.outstanding.targets.remove(target);
            }
        }
    }

    /// Drops what only the delivery's restarts still waited for.
    pub(super) fn forget_late(&mut self, target: &ObjectRef) {
        let Some(expected) = self.outstanding.targets.get_mut(target) else {
            return;
        };
        let in_progress = &self.in_progress;
        let follows = |sequence: &Sequence| {
            let delivery = in_progress.get(sequence);
            delivery.is_some_and(|delivery| delivery.follows(target))
        };
        expected
            .values
            .retain(|written| written.until.is_some() || written.followers.iter().any(follows));
        self.set_timeout(target);
    }
}

fn take_followers(written: &mut [Awaited]) -> Vec<Sequence> {
    let followers = written.iter_mut();
    followers
        .flat_map(|written| written.followers.drain(..))
        .collect()
}
