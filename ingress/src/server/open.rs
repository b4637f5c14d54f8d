//! The open connections: which are admitted, which are closed for that, and which exceed a limit.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::MissedTickBehavior};

use super::{
    ConnectionLimits,
    state::{Clock, Connection, Order, Phase},
};
use crate::{
    client::{Client, Peer},
    metrics::{Counted, Ended, Metrics},
};

/// An idle connection frees its buffers after this time.
const PARK_AFTER: Duration = Duration::from_secs(1);
/// The bounds of the interval at which the connections' clock advances.
const LONGEST_TICK: Duration = Duration::from_millis(100);
const SHORTEST_TICK: Duration = Duration::from_millis(5);

/// All connections of a port.
pub(super) struct Open {
    all: Mutex<All>,
    limits: ConnectionLimits,
    clock: Arc<Clock>,
    /// One has closed.
    closed: Notify,
    /// Each answer closes its connection.
    draining: AtomicBool,
    metrics: Metrics,
}

#[derive(Default)]
struct All {
    next: u64,
    open: HashMap<u64, Entry>,
    /// Connections per peer, without those that are about to close.
    peers: HashMap<Peer, usize>,
}

struct Entry {
    connection: Arc<Connection>,
    /// It is about to close and no longer counts for its peer.
    leaving: bool,
}

/// A place among the connections; dropping it frees it.
pub(super) struct Place {
    open: Arc<Open>,
    number: u64,
    pub(super) connection: Arc<Connection>,
    _counted: Counted,
}

pub(super) enum Admission {
    Admitted(Place),
    /// All places are taken; one may be free soon.
    Full,
    /// Its peer is at its limit, and all its connections serve requests.
    Refused,
}

impl Open {
    pub(super) fn new(limits: ConnectionLimits, metrics: Metrics) -> Arc<Self> {
        metrics.free(limits.connections);
        Arc::new(Self {
            all: Mutex::default(),
            limits,
            clock: Arc::new(Clock::start()),
            closed: Notify::new(),
            draining: AtomicBool::new(false),
            metrics,
        })
    }

    /// A place for a connection of this client. At a limit another connection is closed for it.
    pub(super) fn admit(self: &Arc<Self>, client: &Arc<Client>, phase: Phase) -> Admission {
        let mut all = self.all();
        let peer = client.peer();
        let of_peer = all.peers.get(&peer).copied().unwrap_or(0);
        if !client.is_proxy() && of_peer >= self.limits.per_peer {
            let own = |connection: &Connection| connection.client.peer() == peer;
            let Some(number) = all.weakest(own) else {
                self.metrics.connection_ended(Ended::PeerBound);
                return Admission::Refused;
            };
            self.make_room(&mut all, number, Ended::PeerBound);
            if all.open.len() >= self.limits.connections {
                // One is closing already.
                return Admission::Full;
            }
        } else if all.open.len() >= self.limits.connections {
            // Unless one is closing already.
            if !all.open.values().any(Entry::ends)
                && let Some(number) = all.weakest(|_| true)
            {
                self.make_room(&mut all, number, Ended::MadeRoom);
            }
            return Admission::Full;
        }
        let clock = Arc::clone(&self.clock);
        let connection = Arc::new(Connection::new(Arc::clone(client), clock, phase));
        let number = all.next;
        all.next += 1;
        let entry = Entry {
            connection: Arc::clone(&connection),
            leaving: false,
        };
        all.open.insert(number, entry);
        *all.peers.entry(peer).or_default() += 1;
        self.metrics.free(self.limits.connections - all.open.len());
        Admission::Admitted(Place {
            open: Arc::clone(self),
            number,
            connection,
            _counted: Counted::up(&self.metrics.connections),
        })
    }

    fn make_room(&self, all: &mut All, number: u64, reason: Ended) {
        self.metrics.connection_ended(reason);
        if let Some(entry) = all.open.get(&number) {
            // An idle connection may be getting a request right now, which is then answered. One that was
            // spared so and does not finish its request is closed.
            let order = match entry.connection.phase() {
                Phase::Idle if !entry.leaving => Order::Last,
                _ => Order::Kill,
            };
            entry.connection.order(order);
        }
        all.leaves(number);
    }

    /// Waits until a place is free, or it is time to look again.
    pub(super) async fn room(&self) {
        tokio::time::timeout(LONGEST_TICK, self.closed.notified())
            .await
            .ok();
    }

    /// From now on every answer closes its connection.
    pub(super) fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Closes idle connections, and each other one after its current request.
    pub(super) fn close(&self) {
        self.drain();
        for entry in self.all().open.values() {
            entry.connection.order(Order::Last);
        }
    }

    /// Advances the clock, and ends connections that exceed a limit. Never returns.
    pub(super) async fn watch(&self) {
        let limits = &self.limits;
        let shortest = limits.header.min(limits.idle).min(limits.write) / 8;
        let tick = shortest.clamp(SHORTEST_TICK, LONGEST_TICK);
        let every = shortest.clamp(tick, PARK_AFTER);
        let mut ticks = tokio::time::interval(tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked = 0;
        loop {
            ticks.tick().await;
            self.clock.tick();
            let now = self.clock.now();
            if now.saturating_sub(looked) >= milliseconds(every) {
                looked = now;
                self.look(now, tick);
            }
        }
    }

    /// `tick`: how much too early the recorded times may be.
    fn look(&self, now: u64, tick: Duration) {
        let mut all = self.all();
        let mut over = Vec::new();
        for (&number, entry) in &all.open {
            let connection = &entry.connection;
            let has_passed =
                |since: u64, time: Duration| now.saturating_sub(since) > milliseconds(time + tick);
            let (phase, since) = connection.standing();
            let stalled = connection.stalled_since();
            if stalled.is_some_and(|since| has_passed(since, self.limits.write)) {
                over.push((number, Order::Kill, Ended::WriteTimeout));
                continue;
            }
            match phase {
                Phase::Head if has_passed(since, self.limits.header) => {
                    over.push((number, Order::Kill, Ended::HeaderTimeout));
                }
                Phase::Idle if has_passed(since, self.limits.idle) => {
                    over.push((number, Order::Last, Ended::IdleTimeout));
                }
                Phase::Idle if !connection.is_parked() && has_passed(since, PARK_AFTER) => {
                    connection.order(Order::Park);
                }
                _ => {}
            }
        }
        for (number, order, reason) in over {
            let entry = all.open.get(&number);
            if let Some(entry) = entry.filter(|entry| !entry.connection.is_ordered(order)) {
                entry.connection.order(order);
                self.metrics.connection_ended(reason);
                all.leaves(number);
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// It closes at once, whatever its client does.
    fn ends(&self) -> bool {
        let connection = &self.connection;
        connection.is_ordered(Order::Kill)
            || connection.is_leaving() && connection.phase() == Phase::Idle
    }
}

impl All {
    /// The connection among these to close first.
    fn weakest(&self, among: impl Fn(&Connection) -> bool) -> Option<u64> {
        let open = self.open.iter().filter_map(|(&number, entry)| {
            let connection = &entry.connection;
            let may = !entry.ends() && among(connection);
            // The older one of two that are idle since the same tick.
            Some((may.then(|| connection.rank())??, number))
        });
        open.min().map(|(_, number)| number)
    }

    /// The connection no longer counts for its peer; it counts for the total until it has closed.
    fn leaves(&mut self, number: u64) {
        let Some(entry) = self.open.get_mut(&number) else {
            return;
        };
        if !std::mem::replace(&mut entry.leaving, true) {
            let peer = entry.connection.client.peer();
            if let Some(count) = self.peers.get_mut(&peer) {
                *count -= 1;
                if *count == 0 {
                    self.peers.remove(&peer);
                }
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.open.all();
        all.leaves(self.number);
        all.open.remove(&self.number);
        let free = self.open.limits.connections.saturating_sub(all.open.len());
        self.open.metrics.free(free);
        drop(all);
        self.open.closed.notify_one();
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
