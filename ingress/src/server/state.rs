//! The state of one connection. Its own task writes it, with plain stores; the watch reads it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::Waker,
    time::Duration,
};

use futures::task::AtomicWaker;
use tokio::time::Instant;

use crate::client::Client;

/// The time since the port opened, as it was at the last tick: requests read no clock.
pub(super) struct Clock {
    start: Instant,
    milliseconds: AtomicU64,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The TLS handshake.
    Handshake = 0,
    /// Between two requests, or before the first.
    Idle = 1,
    /// Some of a request's headers have arrived.
    Head = 2,
    /// The body of a request is still arriving.
    Body = 6,
    /// A request is being worked on.
    Busy = 3,
    /// The answer is known and not yet written.
    Answered = 4,
    /// The last answer is written; the client may still be sending.
    Closing = 5,
}

/// What the watch orders a connection to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Order {
    /// Free the buffers, if it is still idle.
    Park = 1,
    /// Close after the current request.
    Last = 2,
    /// End now.
    Kill = 4,
}

pub(super) struct Connection {
    pub(super) client: Arc<Client>,
    clock: Arc<Clock>,
    /// Milliseconds, and in the lowest bits the phase that has lasted since then.
    phase: AtomicU64,
    /// When a write began to wait for the client, in milliseconds plus one; 0: none waits.
    stalled: AtomicU64,
    opened: u64,
    requests: AtomicU32,
    /// A request of it was accepted.
    proven: AtomicBool,
    parked: AtomicBool,
    orders: AtomicU8,
    task: AtomicWaker,
}

const PHASE_BITS: u32 = 3;

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            start: Instant::now(),
            milliseconds: AtomicU64::new(0),
        }
    }

    pub(super) fn tick(&self) {
        let passed = self.start.elapsed().as_millis();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        self.milliseconds.store(passed, Relaxed);
    }

    pub(super) fn now(&self) -> u64 {
        self.milliseconds.load(Relaxed)
    }
}

impl Phase {
    fn of(bits: u64) -> Self {
        match bits & ((1 << PHASE_BITS) - 1) {
            0 => Self::Handshake,
            1 => Self::Idle,
            2 => Self::Head,
            3 => Self::Busy,
            4 => Self::Answered,
            6 => Self::Body,
            _ => Self::Closing,
        }
    }
}

impl Connection {
    pub(super) fn new(client: Arc<Client>, clock: Arc<Clock>, phase: Phase) -> Self {
        let opened = clock.now();
        let connection = Self {
            client,
            clock,
            phase: AtomicU64::default(),
            stalled: AtomicU64::default(),
            opened,
            requests: AtomicU32::default(),
            proven: AtomicBool::default(),
            parked: AtomicBool::default(),
            orders: AtomicU8::default(),
            task: AtomicWaker::new(),
        };
        connection.enter(phase);
        connection
    }

    pub(super) fn enter(&self, phase: Phase) {
        let since = self.clock.now() << PHASE_BITS;
        self.phase.store(since | phase as u64, Relaxed);
    }

    pub(super) fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Relaxed))
    }

    /// The phase, and when it began.
    pub(super) fn standing(&self) -> (Phase, u64) {
        let phase = self.phase.load(Relaxed);
        (Phase::of(phase), phase >> PHASE_BITS)
    }

    /// From one phase to another, if it is in the first.
    pub(super) fn advance(&self, from: Phase, to: Phase) {
        if self.phase() == from {
            self.enter(to);
        }
    }

    /// A write, a flush or the shutdown waits for the client.
    pub(super) fn stalls(&self) {
        if self.stalled.load(Relaxed) == 0 {
            self.stalled.store(self.clock.now() + 1, Relaxed);
        }
    }

    pub(super) fn flows(&self) {
        if self.stalled.load(Relaxed) != 0 {
            self.stalled.store(0, Relaxed);
        }
    }

    pub(super) fn stalled_since(&self) -> Option<u64> {
        self.stalled.load(Relaxed).checked_sub(1)
    }

    /// Counts a request; returns how many there were.
    pub(super) fn begin(&self, phase: Phase) -> u32 {
        self.enter(phase);
        // Its own task alone writes this.
        let requests = self.requests.load(Relaxed).saturating_add(1);
        self.requests.store(requests, Relaxed);
        requests
    }

    pub(super) fn older_than(&self, age: Duration) -> bool {
        u128::from(self.clock.now().saturating_sub(self.opened)) >= age.as_millis()
    }

    pub(super) fn accepted(&self) {
        if !self.is_proven() {
            self.proven.store(true, Relaxed);
        }
    }

    pub(super) fn is_proven(&self) -> bool {
        self.proven.load(Relaxed)
    }

    pub(super) fn park(&self, parked: bool) {
        self.parked.store(parked, Relaxed);
        if parked {
            // The order is carried out.
            self.orders.fetch_and(!(Order::Park as u8), Relaxed);
        }
    }

    pub(super) fn is_parked(&self) -> bool {
        self.parked.load(Relaxed)
    }

    pub(super) fn order(&self, order: Order) {
        self.orders
            .fetch_or(order as u8, std::sync::atomic::Ordering::AcqRel);
        self.task.wake();
    }

    /// Orders wake `task` from now on.
    pub(super) fn listen(&self, task: &Waker) {
        self.task.register(task);
    }

    pub(super) fn is_ordered(&self, order: Order) -> bool {
        self.orders.load(std::sync::atomic::Ordering::Acquire) & order as u8 != 0
    }

    /// It is ordered to end.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_ordered(Order::Last) || self.is_ordered(Order::Kill)
    }

    /// The order in which connections are closed for new ones: first those on which no request was accepted, of
    /// them the idle ones, and of these the longest idle. `None`: it serves a request.
    pub(super) fn rank(&self) -> Option<(bool, u8, u64)> {
        let (phase, since) = self.standing();
        let (class, since) = match (phase, self.stalled_since()) {
            (Phase::Closing, _) => (0, since),
            (Phase::Idle, _) => (1, since),
            (_, Some(stalled)) => (2, stalled),
            (Phase::Head | Phase::Handshake | Phase::Body, None) => (2, since),
            (Phase::Busy | Phase::Answered, None) => return None,
        };
        Some((self.is_proven(), class, since))
    }
}
