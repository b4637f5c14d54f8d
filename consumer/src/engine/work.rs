//! The work on one target, and what the deliveries wait for there.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use eso_relay::event::Fingerprint;

use super::{
    StoreId, Urgency,
    held::{InProgress, Request, Version},
    lane::Ticket,
};
use crate::object::{Fault, Kept, RefreshMark, Sequence, Stage, SyncState};

/// A target *keeps failing* after three faults in a row, or after one that asks for a long delay.
const STUCK: u64 = 3;
const LONG: Duration = Duration::from_secs(10);

/// Exists for as long as a delivery waits for the target or a patch of it is in flight.
#[derive(Debug)]
pub(super) struct Work {
    /// What the deliveries wait for. Only the last mark is written; the others are released with it.
    pub(super) waiting: BTreeMap<Version, Waiter>,
    pub(super) phase: Phase,
    pub(super) stores: Arc<[StoreId]>,
    /// How many objects ESO syncs for it.
    pub(super) weight: usize,
    /// The last mark that was sent, and when it was first sent.
    sent: Option<(RefreshMark, Duration)>,
    /// The kind of the last faults, and how many of it in a row.
    faults: Option<(Fault, u64)>,
    /// Whether the last of them asks for a long delay.
    slow: bool,
    /// The sync state that the watch has shown last.
    pub(super) sync: SyncState,
    /// The mark that the watch has shown since this work began.
    pub(super) shown: Option<RefreshMark>,
    /// The latest fault, for the dead letter.
    pub(super) error: Option<String>,
}

/// The mark to write next.
pub(super) struct Next {
    pub(super) version: Version,
    pub(super) value: RefreshMark,
    /// Not before.
    pub(super) from: Duration,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    /// In the lane's queue.
    Ready(Ticket),
    /// This mark is in flight.
    Patching {
        version: Version,
        value: RefreshMark,
    },
    /// After a fault, until its timer fires.
    BackingOff,
    /// In no queue: only a second mark is requested, which is not due yet.
    Settling,
}

impl Work {
    /// In no queue yet.
    pub(super) fn new(stores: Arc<[StoreId]>, sync: SyncState) -> Self {
        Self {
            waiting: BTreeMap::new(),
            phase: Phase::Settling,
            stores,
            weight: 1,
            sent: None,
            faults: None,
            slow: false,
            sync,
            shown: None,
            error: None,
        }
    }

    /// The highest urgency of the waiting deliveries.
    pub(super) fn urgency(&self) -> Option<Urgency> {
        let urgencies = self.waiting.values().map(|waiter| &waiter.urgency);
        urgencies.max().cloned()
    }

    /// Whether its next patch goes by the exact lane.
    pub(super) fn is_exact(&self) -> bool {
        let mut waiters = self.waiting.values();
        waiters.any(|waiter| waiter.urgency == Urgency::Exact)
    }

    /// Adds a waiter. Returns which one answers for others now, and those.
    pub(super) fn wait(&mut self, version: Version, mut waiter: Waiter) -> (Version, Vec<Version>) {
        let mut newer = self.waiting.range_mut(version..);
        if let Some((by, newer)) = newer.rfind(|(_, newer)| newer.answers_for(&waiter)) {
            newer.take_over(waiter);
            return (*by, vec![version]);
        }
        let older = self.waiting.range(..version);
        let older = older.filter(|(_, older)| waiter.answers_for(older));
        let older: Vec<_> = older.map(|(version, _)| *version).collect();
        for version in &older {
            if let Some(older) = self.waiting.remove(version) {
                waiter.take_over(older);
            }
        }
        self.waiting.insert(version, waiter);
        (version, older)
    }

    /// The mark of the newest event.
    pub(super) fn next(&self) -> Option<Next> {
        let (version, newest) = self.waiting.last_key_value()?;
        let (stage, from) = match newest.needs {
            Needs::First => (Stage::First, Duration::ZERO),
            Needs::Second { from } if !newest.lends => (Stage::Settled, from),
            // One second mark serves every waiter that needs one.
            Needs::Second { from } => {
                let all = self.waiting.values().filter_map(Waiter::second_from);
                (Stage::Settled, all.fold(from, Duration::max))
            }
        };
        let event = newest.event;
        Some(Next {
            version: *version,
            value: RefreshMark { event, stage },
            from,
        })
    }

    /// The version of an event that a delivery waits for.
    pub(super) fn version_of(&self, event: Fingerprint) -> Option<Version> {
        let mut newest_first = self.waiting.iter().rev();
        newest_first.find_map(|(version, waiter)| {
            let mut older = waiter.answers.iter();
            let older = || older.find(|(_, older)| *older == event).map(|(at, _)| *at);
            (waiter.event == event).then_some(*version).or_else(older)
        })
    }

    /// The mark is sent.
    pub(super) fn send(&mut self, now: Duration, version: Version, value: RefreshMark) {
        self.phase = Phase::Patching { version, value };
        if self.sent.is_none_or(|(last, _)| last != value) {
            self.sent = Some((value, now));
        }
    }

    /// The object carries this mark of the version, or did. Removes the waiters that are done, and from the others
    /// the events that they answered for.
    pub(super) fn written(
        &mut self,
        now: Duration,
        version: Version,
        value: RefreshMark,
    ) -> (Vec<(Version, Waiter)>, Vec<Fingerprint>) {
        let waiter = self.waiting.get(&version);
        let lends = waiter.is_none_or(|waiter| waiter.lends);
        let sent = self.sent.filter(|(last, _)| lends && *last == value);
        let written = Written {
            stage: value.stage,
            settle: waiter.and_then(|waiter| waiter.settle),
            durable: waiter.is_some_and(|waiter| waiter.durable),
            sent: sent.map(|(_, at)| at),
        };
        let (mut done, mut older_settle) = (Vec::new(), false);
        for (at, waiter) in self.waiting.range_mut(..=version) {
            if waiter.is_granted(&written, *at < version) {
                done.push(*at);
            } else {
                waiter.refreshed(now);
                older_settle |= *at < version;
            }
        }
        // An older event still needs a second mark, which must be one of the newest event.
        if lends && value.stage == Stage::First && older_settle && done.last() == Some(&version) {
            done.pop();
            if let Some(newest) = self.waiting.get_mut(&version) {
                newest.needs = Needs::Second { from: now };
            }
        }
        let done = done.iter();
        let done = done.filter_map(|version| self.waiting.remove_entry(version));
        let mut done: Vec<_> = done.collect();
        // The newer delivery answers for the second mark, which is the one to follow.
        if let (Stage::First, Some(newest)) = (value.stage, self.waiting.get_mut(&version)) {
            let settling = done.iter_mut().filter(|(_, older)| older.settle.is_some());
            let followers = settling.flat_map(|(_, older)| older.followers.drain(..));
            newest.followers.extend(followers);
        }
        let newer = self.waiting.range_mut(version..);
        let older =
            newer.flat_map(|(_, waiter)| waiter.answers.extract_if(.., |(at, _)| *at <= version));
        (done, older.map(|(_, event)| event).collect())
    }

    /// Removes the waiters up to `done`.
    pub(super) fn take_up_to(&mut self, done: Version) -> Vec<(Version, Waiter)> {
        let mut taken = Vec::new();
        while let Some(first) = self.waiting.first_entry() {
            if *first.key() > done {
                break;
            }
            taken.push(first.remove_entry());
        }
        taken
    }

    /// Counts a fault. Returns how many of its kind came in a row.
    pub(super) fn failed(&mut self, fault: Fault, after: Option<Duration>, error: String) -> u64 {
        let count = match self.faults {
            Some((last, count)) if last == fault => count + 1,
            _ => 1,
        };
        self.faults = Some((fault, count));
        self.slow = after >= Some(LONG);
        self.error = Some(error);
        count
    }

    pub(super) fn is_failing(&self) -> bool {
        self.faults.is_some()
    }

    /// Whether it keeps failing while others may be patched.
    pub(super) fn is_stuck(&self, api_is_in_doubt: bool) -> bool {
        match self.faults {
            None => false,
            Some((Fault::Object | Fault::Permission, count)) => count >= STUCK || self.slow,
            Some((Fault::Cluster, count)) => count >= STUCK && !api_is_in_doubt,
        }
    }

    /// Whether it backs off after a fault that is not the API's.
    pub(super) fn backs_off_alone(&self) -> bool {
        let last = self.faults.map(|(last, _)| last);
        let alone = matches!(last, Some(Fault::Object | Fault::Permission));
        matches!(self.phase, Phase::BackingOff) && alone
    }

    pub(super) fn answered(&mut self) {
        self.faults = None;
        self.error = None;
    }
}

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) event: Fingerprint,
    pub(super) settle: Option<Duration>,
    pub(super) urgency: Urgency,
    pub(super) needs: Needs,
    /// Whether a crash brings its message back: only then may it answer for others that come back.
    pub(super) durable: bool,
    /// Whether no other replica had the message before: then its second mark certainly changes the object, and also
    /// serves older events that settle longer.
    pub(super) lends: bool,
    /// Older events that it answers for, whose steps are reported with its own.
    pub(super) answers: Vec<(Version, Fingerprint)>,
    /// The deliveries whose restarts follow its sync: its own, and those that it answers for.
    pub(super) followers: Vec<Sequence>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Needs {
    /// Its first mark or a newer one.
    First,
    /// The first is written: a second one from then on.
    Second { from: Duration },
}

/// A mark that the object carries.
pub(super) struct Written {
    pub(super) stage: Stage,
    /// How long its own event settles.
    pub(super) settle: Option<Duration>,
    /// Whether a crash brings its event back.
    pub(super) durable: bool,
    /// When it was first sent, if no other was sent since.
    pub(super) sent: Option<Duration>,
}

impl Waiter {
    /// For a delivery that waits for the target.
    pub(super) fn new(request: &Request, delivery: &InProgress, followers: Vec<Sequence>) -> Self {
        Self {
            event: request.event,
            settle: request.settle,
            urgency: request.urgency.clone(),
            needs: Needs::First,
            durable: delivery.kept != Kept::Nowhere,
            lends: delivery.attempt == 1,
            answers: Vec::new(),
            followers,
        }
    }

    /// Whether `older` need not wait beside this: this one writes a newer mark, settles as long, and is redelivered
    /// after a crash if `older` would be.
    pub(super) fn answers_for(&self, older: &Self) -> bool {
        older.settle <= self.settle && (self.durable || !older.durable)
    }

    pub(super) fn take_over(&mut self, mut older: Self) {
        if older.urgency > self.urgency {
            self.urgency = older.urgency;
        }
        self.answers.append(&mut older.answers);
        self.followers.append(&mut older.followers);
    }

    /// The events that it answers for.
    pub(super) fn events(self) -> impl Iterator<Item = Fingerprint> {
        self.answers.into_iter().map(|(_, event)| event)
    }

    /// Whether this mark, of its own or a newer event, is all that it needs.
    pub(super) fn is_granted(&self, written: &Written, is_older: bool) -> bool {
        let covered = self.settle <= written.settle;
        // The newer delivery answers for the second mark.
        let answered = is_older && covered && (written.durable || !self.durable);
        match (written.stage, self.needs) {
            (Stage::First, _) => self.settle.is_none() || answered,
            (Stage::Settled, Needs::First) => covered,
            (Stage::Settled, Needs::Second { from }) => covered || written.sent >= Some(from),
        }
    }

    /// Its first mark is written.
    pub(super) fn refreshed(&mut self, now: Duration) {
        if let (Needs::First, Some(settle)) = (self.needs, self.settle) {
            let from = now.saturating_add(settle);
            self.needs = Needs::Second { from };
        }
    }

    pub(super) fn second_from(&self) -> Option<Duration> {
        match self.needs {
            Needs::First => None,
            Needs::Second { from } => Some(from),
        }
    }
}
