//! The state machine between deliveries and patches: no I/O, no clock, no lock.
//!
//! ```text
//! Delivery ─intake─▶ targets ─lane─▶ Patch, Patched ─patch─▶ last target done ─complete─▶ Ack, dead letter or Nak
//!                               ▲                         │
//!                               └─ timer ◀─ second value ─┘
//! ```
//!
//! One task owns it, tells it what happened and does what it says. It promises:
//!
//! - no ack before each target of the delivery carried its value, or a newer one, or is gone, and where
//!   it settles, the second value too; or before a newer event that settles as long waits for the target,
//!   whose own message stays un-acked so long: it answers for both;
//! - at most one patch in flight for a target, always of the newest value known;
//! - each event takes effect or becomes a dead letter, itself or in the newer one that answers for it;
//! - an object that fails on its own account holds no message: see `park.rs`;
//! - its memory follows the targets that deliveries wait for, one pending value for each settle, and what
//!   ESO has not synced yet.
//!
//! Beside all this it tells what became of each event at each target, up to its sync by ESO: [`Step`].

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
    timers::{Timer, Timers},
    work::Work,
};
pub(crate) use self::{
    io::{Delivery, Input, Output, Refresh, Step},
    lane::{StoreId, Urgency},
    settings::{Settings, WindowBounds},
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
    /// How many events waiters answer for: see `answer.rs`.
    answered: usize,
    lanes: Lanes,
    outstanding: Outstanding,
    breaker: CircuitBreaker,
    backlog_delay: BacklogDelay,
    timers: Timers,
    outputs: VecDeque<Output>,
    stopping: bool,
}

impl Engine {
    /// The seed drives the jitter of the back-offs, and nothing else.
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
            breaker: CircuitBreaker::default(),
            backlog_delay: BacklogDelay::default(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            stopping: false,
        }
    }

    /// Takes in what happened. `now` is the time since the start of the process, by a clock that
    /// does not go back. Afterwards, do all of [`Self::next_output`].
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
            Input::Tick => {}
            Input::Deleted(target) => self.deleted(now, &target),
            Input::DeadLettered { sequence, stored } => self.dead_lettered(now, sequence, stored),
            Input::Stop => self.stop(now),
        }
        self.fire_timers(now);
        self.start_patches(now);
    }

    /// What is to be done, in this order.
    pub(crate) fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When it wants the next [`Input::Tick`], unless another input comes first.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        self.timers
            .next()
            .into_iter()
            .chain(self.next_start())
            .min()
    }

    /// How many more deliveries it will take: none while stopping or while the API is away.
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

    /// Whether the message is waited for at the target: what it means there is known already.
    pub(crate) fn waits(&self, sequence: Sequence, target: &ObjectRef) -> bool {
        let delivery = self.in_progress.get(&sequence);
        delivery.is_some_and(|delivery| delivery.open.contains_key(target))
    }

    /// Whether the message's dead letters are being stored: it takes no [`Input::Late`] before their end.
    pub(crate) fn is_dead_lettering(&self, sequence: Sequence) -> bool {
        self.dead_lettering.contains_key(&sequence)
    }

    /// How many objects of mass work may be patched and not yet synced.
    pub(crate) fn window(&self) -> usize {
        self.lanes.window_size()
    }

    /// How many objects were patched, by whatever lane, and are not synced yet.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    fn room(&self) -> usize {
        let held = self.in_progress.len() - self.parked + self.dead_lettering.len();
        self.settings.max_deliveries.saturating_sub(held)
    }

    /// No delivery is held and no patch is in flight. What ESO has not synced yet is not waited for.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_progress.is_empty() && self.dead_lettering.is_empty() && self.targets.is_empty()
    }

    fn fire_timers(&mut self, now: Duration) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Progress(sequence) => {
                    self.outputs.push_back(Output::Progress(sequence));
                    self.expect_progress(now, sequence);
                }
                Timer::GiveUp(sequence) => self.give_up(now, sequence),
                Timer::Store(sequence) => self.send_dead_letters(sequence),
                Timer::Retry(target) => self.retry_due(now, &target),
                Timer::Settle(target) => self.arrange(now, &target),
                Timer::Overdue(target) => self.overdue(now, &target),
                Timer::Probe => self.probe(),
            }
        }
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
