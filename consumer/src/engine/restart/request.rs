//! What one delivery asks of a workload.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use eso_relay::event::Fingerprint;

use super::Restart;
use crate::object::{MAX_RESTART_MARKS, ObjectRef, WorkloadState};

/// For one event of a delivery, and the older ones of it that follow the same targets.
#[derive(Debug)]
pub(super) struct Request {
    newest: (usize, Fingerprint),
    older: Vec<(usize, Fingerprint)>,
    /// Of older requests that this one answers for, the newest last; no more than the workload carries.
    answers: Vec<Fingerprint>,
    /// The targets that ESO has not synced yet.
    pending: BTreeMap<ObjectRef, Sync>,
    /// How long the delivery settles at the targets that it follows, at least and at most.
    settles: Option<(Option<Duration>, Option<Duration>)>,
    /// Whether a target that it followed has ended without a sync.
    lost: bool,
    /// Whether ESO has synced one.
    synced: bool,
    /// Another workload that was restarted for its events does not become ready.
    stopped: bool,
    /// Not before: the store may return the old value.
    from: Duration,
    /// When it was accepted, or the first that it answers for.
    since: Duration,
    /// Since when it waits for nothing but its turn, and the first that it answers for.
    ready: Option<Ready>,
}

#[derive(Debug, Clone, Copy)]
struct Ready {
    first: Duration,
    last: Duration,
}

/// How far ESO is with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sync {
    Expected,
    /// It has had its time; a restart follows also if it syncs later.
    Late,
}

/// A request, and where it belongs.
pub(super) struct Wanted {
    pub(super) workload: ObjectRef,
    pub(super) index: usize,
    pub(super) follows: BTreeSet<ObjectRef>,
    pub(super) state: WorkloadState,
    pub(super) request: Request,
}

impl Wanted {
    /// Events of one delivery that follow the same targets are one request, also after a redelivery.
    pub(super) fn all(now: Duration, mut restarts: Vec<Restart>) -> impl Iterator<Item = Self> {
        restarts.sort_by_key(|restart| restart.index);
        let mut wanted =
            BTreeMap::<(ObjectRef, BTreeSet<ObjectRef>), (Request, WorkloadState)>::new();
        for restart in restarts {
            let follows: BTreeSet<_> = restart.follows.into_iter().collect();
            // A target has its own settle.
            let settle = restart.settle.filter(|_| follows.is_empty());
            let from = now.saturating_add(settle.unwrap_or_default());
            let newest = (restart.index, restart.event);
            let new = || (Request::new(now, newest), restart.state);
            let key = (restart.workload, follows);
            let (request, _) = wanted.entry(key).or_insert_with(new);
            request.add(newest);
            request.from = request.from.max(from);
        }
        wanted
            .into_iter()
            .map(|((workload, follows), (request, state))| Self {
                workload,
                index: request.newest.0,
                follows,
                state,
                request,
            })
    }
}

impl Request {
    fn new(now: Duration, newest: (usize, Fingerprint)) -> Self {
        Self {
            newest,
            older: Vec::new(),
            answers: Vec::new(),
            pending: BTreeMap::new(),
            settles: None,
            lost: false,
            synced: false,
            stopped: false,
            from: Duration::ZERO,
            since: now,
            ready: None,
        }
    }

    /// A newer event of the same delivery.
    fn add(&mut self, newest: (usize, Fingerprint)) {
        if newest != self.newest {
            self.older.push(self.newest);
            self.newest = newest;
        }
    }

    /// The newest event, by which a redelivery finds whether it is done.
    pub(super) fn event(&self) -> Fingerprint {
        self.newest.1
    }

    pub(super) fn indices(&self) -> impl Iterator<Item = usize> {
        let all = self.older.iter().chain([&self.newest]);
        all.map(|(index, _)| *index)
    }

    /// Its own events.
    pub(super) fn own(&self) -> impl Iterator<Item = Fingerprint> {
        let all = self.older.iter().chain([&self.newest]);
        all.map(|(_, event)| *event)
    }

    pub(super) fn answered(&self) -> &[Fingerprint] {
        &self.answers
    }

    /// Its own events and those that it answers for, the newest last.
    pub(super) fn events(&self) -> impl Iterator<Item = Fingerprint> {
        self.answers.iter().copied().chain(self.own())
    }

    /// `settle`: how long the delivery settles there.
    pub(super) fn follow(&mut self, target: ObjectRef, settle: Option<Duration>) {
        let (least, most) = self.settles.unwrap_or((settle, settle));
        self.settles = Some((least.min(settle), most.max(settle)));
        self.pending.insert(target, Sync::Expected);
    }

    /// The targets that it still waits for.
    pub(super) fn follows(&self) -> impl Iterator<Item = &ObjectRef> {
        self.pending.keys()
    }

    pub(super) fn synced(&mut self, target: &ObjectRef) {
        self.synced |= self.pending.remove(target).is_some();
    }

    /// ESO did not sync the target in time.
    pub(super) fn delay(&mut self, target: &ObjectRef) {
        if let Some(sync) = self.pending.get_mut(target) {
            *sync = Sync::Late;
        }
    }

    /// The target will not be synced.
    pub(super) fn end(&mut self, target: &ObjectRef) {
        self.pending.remove(target);
        self.lost = true;
    }

    /// One of the targets that it would follow is gone.
    pub(super) fn lose(&mut self) {
        self.lost = true;
    }

    /// Its restart is in flight, and is not tried again.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether all that it follows is gone.
    pub(super) fn has_lost_all(&self) -> bool {
        self.lost && !self.synced && self.pending.is_empty()
    }

    pub(super) fn is_late(&self) -> bool {
        self.pending.values().any(|sync| *sync == Sync::Late)
    }

    /// When it is or was ready, as far as is known.
    pub(super) fn ready_from(&self) -> Option<Duration> {
        self.pending.is_empty().then_some(self.from)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.is_some()
    }

    /// Since when it waits for nothing but its turn.
    pub(super) fn ready_since(&self) -> Option<Duration> {
        self.ready.map(|ready| ready.last)
    }

    /// Since when the first that it answers for does.
    pub(super) fn first_ready(&self) -> Option<Duration> {
        self.ready.map(|ready| ready.first)
    }

    /// When it was accepted, or the first that it answers for.
    pub(super) fn waits_since(&self) -> Duration {
        self.since
    }

    pub(super) fn try_ready(&mut self, now: Duration) {
        if self.ready.is_none() && self.ready_from().is_some_and(|from| from <= now) {
            self.ready = Some(Ready {
                first: now,
                last: now,
            });
        }
    }

    /// Whether the restart for this newer one is also one for `older`. `is_old`: whether that one has waited long.
    /// `is_open`: whether its delivery still waits for a mark of the target.
    pub(super) fn answers_for(
        &self,
        older: &Self,
        is_old: bool,
        is_open: impl Fn(&ObjectRef) -> bool,
    ) -> bool {
        match (self.ready, older.ready) {
            (Some(_), Some(_)) => true,
            (None, None) => {
                let same = self.pending.keys().eq(older.pending.keys());
                let (least, _) = self.settles.unwrap_or_default();
                let (_, most) = older.settles.unwrap_or_default();
                let covered = most <= least && older.from <= self.from;
                same && covered && !is_old && !older.pending.keys().any(is_open)
            }
            _ => false,
        }
    }

    /// Returns the events that would be too many.
    pub(super) fn take_over(&mut self, older: &Self) -> Vec<Fingerprint> {
        self.since = self.since.min(older.since);
        if let (Some(ready), Some(older)) = (&mut self.ready, &older.ready) {
            ready.first = ready.first.min(older.first);
        }
        // A message whose ack was lost comes again.
        let known: Vec<_> = self.events().collect();
        let new = older.events().filter(|event| !known.contains(event));
        let mut answers: Vec<_> = new.collect();
        answers.append(&mut self.answers);
        let excess = answers.len().saturating_sub(MAX_RESTART_MARKS);
        let forgotten = answers.drain(..excess).collect();
        self.answers = answers;
        forgotten
    }
}
