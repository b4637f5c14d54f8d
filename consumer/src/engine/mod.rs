//! The state machine between deliveries and patches: no I/O, no clock, no lock.
//!
//! ```text
//! Delivery ─intake─▶ targets ─lane─▶ Patch, Patched ─patch─▶ last target done ─complete─▶ Ack, dead letter or Nak
//!                               ▲                         │
//!                               └─ timer ◀─ second value ─┘
//! ```
//!
//! One task owns it, gives it inputs and executes its outputs. It promises:
//!
//! - No ack before each target of the delivery has carried its mark or a newer one, and the second mark where it
//!   settles, or is gone, and each workload is restarted, or is not for a reason; or before a newer event that settles as long *answers for* it: it waits for the same
//!   target, and its own message is not acked.
//! - At most one patch in flight for a target, always with the newest mark.
//! - Each event takes effect or becomes a dead letter, or the newer one that answers for it does.
//! - An object that keeps failing holds no message: see `complete.rs`.
//! - A workload is restarted after the sync that it must see, and once for an event: see `restart/`.
//! - Its memory is bounded by the targets that deliveries wait for, one pending mark for each settle, and by the
//!   objects that ESO has not synced yet.
//!
//! It also reports each [`Step`] of an event at a target, up to its sync by ESO.

mod backlog_delay;
mod backoff;
mod breaker;
mod complete;
mod held;
mod intake;
mod io;
mod lane;
mod observe;
mod patch;
mod restart;
mod settings;
mod timers;
mod window;
mod work;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use fastrand::Rng;

use self::{
    backlog_delay::BacklogDelay,
    breaker::CircuitBreaker,
    held::{DeadLettering, InProgress, Reporting},
    lane::Lanes,
    observe::Outstanding,
    restart::Restarts,
    timers::{Timer, Timers},
    work::{Phase, Work},
};
pub(crate) use self::{
    io::{Delivery, Input, NotRestarted, Output, Refresh, Restart, RolloutResult, Step},
    lane::{StoreId, Urgency},
    settings::{RestartSettings, Settings, WindowBounds},
};
use crate::object::{ObjectRef, Sequence};

#[derive(Debug)]
pub(crate) struct Engine {
    settings: Settings,
    rng: Rng,
    in_progress: BTreeMap<Sequence, InProgress>,
    dead_lettering: BTreeMap<Sequence, DeadLettering>,
    /// How many of `in_progress` are parked.
    parked: usize,
    targets: HashMap<ObjectRef, Work>,
    /// How many events the waiters answer for: see `intake.rs`.
    answered: usize,
    lanes: Lanes,
    outstanding: Outstanding,
    restarts: Restarts,
    breaker: CircuitBreaker,
    backlog_delay: BacklogDelay,
    timers: Timers,
    outputs: VecDeque<Output>,
    stopping: bool,
}

/// The targets that wait for a patch, by lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    pub exact: usize,
    pub mass: usize,
}

impl Engine {
    /// The seed is for jitter only.
    pub(crate) fn new(settings: Settings, seed: u64) -> Self {
        Self {
            lanes: Lanes::new(&settings),
            settings,
            rng: Rng::with_seed(seed),
            in_progress: BTreeMap::new(),
            dead_lettering: BTreeMap::new(),
            parked: 0,
            targets: HashMap::new(),
            answered: 0,
            outstanding: Outstanding::default(),
            restarts: Restarts::default(),
            breaker: CircuitBreaker::default(),
            backlog_delay: BacklogDelay::default(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            stopping: false,
        }
    }

    /// Handles an input. `now` is the time since the start of the process, by a monotonic clock. Then execute
    /// every [`Self::next_output`].
    pub(crate) fn handle(&mut self, now: Duration, input: Input) {
        match input {
            Input::Delivery(delivery) => self.accept(now, delivery),
            Input::CaughtUp => self.backlog_delay.caught_up(),
            Input::Late(delivery) => self.accept_late(now, delivery, Reporting::Pending),
            Input::Rewrite(delivery) => self.accept_late(now, delivery, Reporting::Done),
            Input::Panicked { sequence, attempt } => self.panicked(now, sequence, attempt),
            Input::Patched {
                target,
                value,
                outcome,
            } => self.patched(now, &target, value, outcome),
            Input::Observed {
                target,
                value,
                sync,
            } => self.observed(now, &target, value, sync),
            Input::Probed { answered } => self.probed(now, answered),
            Input::Workload { workload, state } => {
                self.workload_shown(now, &workload, state.as_ref());
            }
            Input::Restarted { workload, outcome } => self.restarted(now, &workload, outcome),
            Input::Tick => {}
            Input::Deleted(target) => self.deleted(now, &target),
            Input::DeadLettered { sequence, stored } => self.dead_lettered(now, sequence, stored),
            Input::Stop => self.stop(now),
        }
        self.fire_timers(now);
        self.start_patches(now);
        self.start_restarts();
    }

    /// The next output to execute.
    pub(crate) fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the next [`Input::Tick`] is due, unless another input comes first.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        self.timers
            .next()
            .into_iter()
            .chain(self.next_start())
            .min()
    }

    /// How many more deliveries it accepts: none while stopping or while the API does not answer.
    pub(crate) fn capacity(&self) -> usize {
        if self.stopping || self.is_away() {
            return 0;
        }
        self.room()
    }

    /// Whether the Kubernetes API as a whole does not answer: nothing is patched or pulled until it does.
    pub(crate) fn is_away(&self) -> bool {
        self.breaker.is_open()
    }

    #[cfg(test)]
    pub(crate) fn parked(&self) -> usize {
        self.parked
    }

    /// Whether the message waits for the target already.
    pub(crate) fn waits(&self, sequence: Sequence, target: &ObjectRef) -> bool {
        let delivery = self.in_progress.get(&sequence);
        delivery.is_some_and(|delivery| delivery.open.contains_key(target))
    }

    /// Whether the message's dead letters are being stored: until then it accepts no [`Input::Late`].
    pub(crate) fn is_dead_lettering(&self, sequence: Sequence) -> bool {
        self.dead_lettering.contains_key(&sequence)
    }

    /// How many targets wait for a patch. Looks at each.
    pub(crate) fn pending(&self) -> Pending {
        let works = self.targets.values();
        let waiting = works.filter(|work| !matches!(work.phase, Phase::Settling));
        let mut pending = Pending::default();
        for work in waiting {
            if work.is_exact() {
                pending.exact += 1;
            } else {
                pending.mass += 1;
            }
        }
        pending
    }

    /// How many objects of mass work may be patched and not yet synced.
    pub(crate) fn window(&self) -> usize {
        self.lanes.window_size()
    }

    /// How many objects were patched, in either lane, and are not synced yet.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    fn room(&self) -> usize {
        let held = self.in_progress.len() - self.parked + self.dead_lettering.len();
        self.settings.max_deliveries.saturating_sub(held)
    }

    /// Whether no delivery is held and no patch is in flight, whatever ESO has not synced yet.
    pub(crate) fn is_idle(&self) -> bool {
        let held = self.in_progress.len() + self.dead_lettering.len();
        held == 0 && self.targets.is_empty() && self.restarts.are_idle()
    }

    fn fire_timers(&mut self, now: Duration) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Progress(sequence) => {
                    self.outputs.push_back(Output::Progress(sequence));
                    self.expect_progress(now, sequence);
                }
                Timer::GiveUp(sequence) => self.give_up(now, sequence),
                Timer::NotSynced(sequence) => self.sync_is_overdue(now, sequence),
                Timer::Store(sequence) => self.send_dead_letters(sequence),
                Timer::Retry(target) => self.retry_due(now, &target),
                Timer::Settle(target) => self.arrange(now, &target),
                Timer::Overdue(target) => self.overdue(now, &target),
                Timer::Restart(workload) => self.restart_due(now, &workload),
                Timer::Rollout(workload) => self.rollout_overdue(now, &workload),
                Timer::Probe => self.probe(),
            }
        }
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
