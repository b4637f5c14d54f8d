//! Observes whether ESO has synced an object since its patch.
//!
//! The watch shows it without a call to the API, and no delivery waits for it. After a failure of ESO nothing is
//! patched again: ESO retries by itself.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    time::Duration,
};

use eso_relay::event::Fingerprint;

use super::{Engine, Output, Step, held::Version, timers::Timer};
use crate::object::{ObjectRef, RefreshMark, SyncState};

/// How long ESO may take for one object when it is idle.
const SYNC_TIMEOUT: Duration = Duration::from_secs(30);
/// How much longer for each other outstanding object: more than twice as long as ESO takes by default.
pub(super) const SYNC_TIMEOUT_FOR_EACH: Duration = Duration::from_millis(250);
/// After a failure of ESO, which retries by itself, at first after a second.
const FAILURE_TIMEOUT: Duration = Duration::from_secs(10);
/// The most events whose sync is tracked; for more it is not reported. This also bounds the marks of all targets:
/// at most the last one of a target has no events.
pub(super) const MAX_EVENTS: usize = 65_536;

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
    /// How many objects ESO has to sync for it.
    weight: usize,
}

#[derive(Debug)]
struct Awaited {
    value: RefreshMark,
    /// The version of its event.
    version: Version,
    at: Duration,
    until: Duration,
    /// The sync state before the patch.
    before: SyncState,
    /// Whether the watch has shown the mark.
    seen: bool,
    /// Its event and the older ones that it answers for.
    events: Vec<Fingerprint>,
}

impl Awaited {
    /// Whether this state, shown together with the mark, says that ESO has synced the object since the patch.
    fn is_synced(&self, sync: SyncState) -> bool {
        match sync {
            SyncState::Synced => true,
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
    /// The object carries the mark, so a sync is expected for these events. `seen`: whether the watch has shown
    /// it, or only the API's response.
    pub(super) fn expect(
        &mut self,
        now: Duration,
        target: &ObjectRef,
        (version, value): (Version, RefreshMark),
        before: SyncState,
        seen: bool,
        mut events: Vec<Fingerprint>,
    ) {
        if self.stopping {
            return;
        }
        if self.outstanding.events + self.answered + events.len() > self.settings.max_events {
            events = Vec::new();
        }
        self.outstanding.events += events.len();
        let weight = self.targets.get(target).map_or(1, |work| work.weight);
        let expected = self.outstanding.targets.entry(target.clone());
        let expected = expected.or_insert_with(|| {
            self.outstanding.objects += weight;
            Expected {
                values: VecDeque::new(),
                sync: before,
                weight,
            }
        });
        let others = u32::try_from(self.outstanding.objects - 1).unwrap_or(u32::MAX);
        let timeout = SYNC_TIMEOUT.saturating_add(SYNC_TIMEOUT_FOR_EACH.saturating_mul(others));
        let values = &mut expected.values;
        // A mark that the watch shows is older than those that it has not shown yet.
        let unseen = || values.iter().position(|written| !written.seen);
        let place = seen.then(unseen).flatten().unwrap_or(values.len());
        let is_last = place == values.len();
        if let Some(last) = values.back_mut()
            && is_last
            && last.events.is_empty()
            && events.is_empty()
        {
            // Both only say that the object waits for ESO, which it does since the first.
            (last.version, last.value) = (version, value);
            (last.before, last.seen) = (before, seen);
            return;
        }
        let written = Awaited {
            value,
            version,
            at: now,
            until: now.saturating_add(timeout),
            before,
            seen,
            events,
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
            let (done, unseen): (_, Vec<_>) = shown.into_iter().partition(|written| written.seen);
            for written in unseen.into_iter().rev() {
                expected.values.push_front(written);
            }
            self.report_step(now, target, done, Step::Synced);
        } else if sync == SyncState::Failed && was != SyncState::Failed {
            let soon = now.saturating_add(FAILURE_TIMEOUT);
            for written in &mut expected.values {
                written.until = written.until.min(soon);
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
            | SyncState::Waiting
            | SyncState::Returned
            | SyncState::Unknown { .. } => Step::Silent,
        };
        let due = |written: &&Awaited| written.until <= now;
        let due = expected.values.iter().take_while(due).count();
        let done: Vec<_> = expected.values.drain(..due).collect();
        self.report_step(now, target, done, step);
    }

    /// The object is gone, so no sync is expected.
    pub(super) fn vanished(&mut self, now: Duration, target: &ObjectRef) {
        if let Some(expected) = self.outstanding.targets.get_mut(target) {
            let all = mem::take(&mut expected.values);
            self.report_step(now, target, all, Step::Gone);
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
        if !self.outstanding.targets.contains_key(target) {
            match step {
                Step::Synced => self.lanes.window().synced(now, target),
                _ => self.lanes.window().leave(target),
            }
        }
    }

    fn set_timeout(&mut self, target: &ObjectRef) {
        let timer = Timer::Overdue(target.clone());
        let expected = self.outstanding.targets.get(target);
        if let Some(first) = expected.and_then(|expected| expected.values.front()) {
            self.timers.set(timer, first.until);
        } else {
            let expected = self.outstanding.targets.remove(target);
            self.outstanding.objects -= expected.map_or(0, |expected| expected.weight);
            self.timers.cancel(&timer);
        }
    }
}
