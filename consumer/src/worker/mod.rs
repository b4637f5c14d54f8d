//! The one task that owns engine and index: it feeds the engine and does what the engine says.

mod accept;
mod denied;
mod execute;
mod held;
mod opened;
mod recent;

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::{Client, jetstream};
use eso_relay::{
    Slug,
    admin::Condition,
    stream::{position::Gap, verify},
};
use jiff::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{interval, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{
    denied::Denied,
    execute::{Patched, Stored},
    held::Held,
    recent::Recent,
};
use crate::{
    engine::{Engine, Input},
    kubernetes::refresh::Refresher,
    matching::{
        StorePolicy,
        index::{Change, Index},
    },
    object::{ObjectRef, Outcome, RefreshMark},
    report::Reporter,
    stream::{
        Credit, Pulled, Reply,
        gap::{Ended, Holding},
    },
};

/// How often gauges are brought up to date.
const GAUGES: Duration = Duration::from_secs(10);
/// How many messages or changes are taken at once, before the engine's wishes are carried out.
const TAKE: usize = 64;
/// Nothing more is pulled while the bodies of the held messages take so many bytes; what is on its
/// way then, 256 messages at most, still comes.
const HELD_BYTES: usize = 8 * 1024 * 1024;
/// How long the last acks may take to leave.
const LAST_ACKS: Duration = Duration::from_secs(2);

/// Where the worker's work comes from.
pub struct Inputs {
    pub messages: mpsc::Receiver<Pulled>,
    /// Tells the pull loop how much may come.
    pub credit: watch::Sender<Credit>,
    pub changes: mpsc::Receiver<Change>,
    pub gaps: mpsc::Receiver<Gap>,
    pub stop: CancellationToken,
    /// Unmet from the moment of stopping.
    pub running: Condition,
}

/// What the worker works with.
pub struct Context {
    pub cluster: Slug,
    pub client: Client,
    pub jetstream: jetstream::Context,
    pub refresher: Arc<Refresher>,
    pub stores: StorePolicy,
    /// Where it is said how the refresh for a gap ended.
    pub gaps: mpsc::Sender<Ended>,
    /// What is held, for the other replicas.
    pub holding: watch::Sender<Holding>,
}

pub struct Worker {
    context: Context,
    engine: Engine,
    index: Index,
    held: Held,
    recent: Recent,
    /// What the watch has shown since, and events have not been compared with.
    appeared: BTreeSet<ObjectRef>,
    /// Values that were taken away before ESO looked.
    lost: Vec<(ObjectRef, RefreshMark)>,
    denied: Denied,
    /// Namespaces that can be seen again, and have not been refreshed since.
    opened: BTreeSet<String>,
    report: Reporter,
    patches: JoinSet<Patched>,
    probes: JoinSet<Outcome>,
    letters: JoinSet<Stored>,
    /// The engine's clock starts here.
    started: Instant,
    taken: Credit,
    phase: Phase,
}

/// The order of a shutdown.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// Nothing is started any more. What goes back to the server waits in the list until nothing is
    /// pulled: a live pull request of ours would only fetch it again.
    Stopping(Vec<(Reply, Option<Duration>)>),
    /// Only what was started is left.
    Finishing,
}

impl Worker {
    pub fn new(engine: Engine, context: Context, report: Reporter) -> Self {
        Self {
            report,
            context,
            engine,
            index: Index::new(),
            held: Held::default(),
            recent: Recent::default(),
            appeared: BTreeSet::new(),
            lost: Vec::new(),
            denied: Denied::default(),
            opened: BTreeSet::new(),
            patches: JoinSet::new(),
            probes: JoinSet::new(),
            letters: JoinSet::new(),
            started: Instant::now(),
            taken: 0,
            phase: Phase::Running,
        }
    }

    /// Until `stop`, and then until everything that was started is finished and acked.
    pub async fn run(mut self, mut inputs: Inputs) -> anyhow::Result<()> {
        inputs.running.met();
        let mut gauges = interval(GAUGES);
        let (mut messages, mut changes) = (Vec::new(), Vec::new());
        let mut watching = true;
        while self.phase != Phase::Finishing || !self.engine.is_idle() {
            self.grant(&inputs.credit);
            let wake = self.engine.wake_at().map(|at| self.started + at);
            tokio::select! {
                count = inputs.messages.recv_many(&mut messages, TAKE), if self.phase != Phase::Finishing => {
                    self.accept_gap(&mut inputs.gaps);
                    messages.drain(..).for_each(|pulled| self.pulled(pulled));
                    if count == 0 {
                        inputs.running.unmet("stopping");
                        self.stop();
                        self.execute().await;
                        self.hand_back().await;
                    }
                }
                count = inputs.changes.recv_many(&mut changes, TAKE), if watching => {
                    changes.drain(..).for_each(|change| self.apply(change));
                    watching = count > 0;
                }
                Some(gap) = inputs.gaps.recv(), if self.can_refresh_everything() => self.refresh_everything(gap),
                Some(patched) = self.patches.join_next() => self.patched(patched?),
                Some(probe) = self.probes.join_next() => self.probed(&probe?),
                Some(stored) = self.letters.join_next() => self.stored(stored?),
                () = inputs.stop.cancelled(), if self.phase == Phase::Running => {
                    inputs.running.unmet("stopping");
                    self.stop();
                }
                () = wake_up(wake) => self.handle(Input::Tick),
                _ = gauges.tick() => self.gauges(),
            }
            self.match_recent();
            self.refresh_opened();
            self.execute().await;
            self.report.hand_in_receipts();
        }
        self.tell_holding();
        self.report.end();
        self.flush_acks().await;
        Ok(())
    }

    fn handle(&mut self, input: Input) {
        let was_away = self.engine.is_away();
        self.engine.handle(self.started.elapsed(), input);
        let is_away = self.engine.is_away();
        if was_away != is_away {
            self.report.api_is_away(is_away);
        }
    }

    /// Nothing is pulled before the index knows every object: an event would miss some.
    fn grant(&self, credit: &watch::Sender<Credit>) {
        let open = self.phase == Phase::Running
            && self.index.is_synced()
            && self.held.bytes() < HELD_BYTES;
        let room = if open { self.engine.capacity() } else { 0 };
        let granted = self.taken + room as Credit;
        credit.send_if_modified(|credit| std::mem::replace(credit, granted) != granted);
    }

    fn can_refresh_everything(&self) -> bool {
        self.phase == Phase::Running && self.index.is_synced() && !self.is_catching_up()
    }

    /// A gap is found before anything is pulled on its connection, and is accepted first: else its older
    /// value would overwrite that of a message which is already done.
    fn accept_gap(&mut self, gaps: &mut mpsc::Receiver<Gap>) {
        if self.can_refresh_everything()
            && let Ok(gap) = gaps.try_recv()
        {
            self.refresh_everything(gap);
        }
    }

    fn stop(&mut self) {
        if self.phase != Phase::Running {
            return;
        }
        self.report.stopping(self.held.len());
        self.phase = Phase::Stopping(Vec::new());
        self.handle(Input::Stop);
        self.tell_holding();
    }

    fn gauges(&mut self) {
        let (held, parked) = (self.held.len(), self.held.parked());
        self.report.gauges(held, parked, &self.engine, &self.index);
        self.tell_holding();
    }

    /// By this the replicas know together which messages none of them holds.
    fn tell_holding(&mut self) {
        let refreshes = self.phase == Phase::Running && self.index.is_synced();
        let holding = Holding {
            refreshes,
            ..self.held.holding(now())
        };
        self.context.holding.send_replace(holding);
    }

    /// An answer says that the server has read every ack before it. Flushing would only say that
    /// they have left, and a socket closed too early can still lose them.
    async fn flush_acks(&self) {
        let last = verify::durable(&self.context.jetstream, &self.context.cluster);
        let arrived = matches!(timeout(LAST_ACKS, last).await, Ok(Ok(_)));
        self.report.acks_arrived(arrived);
    }
}

async fn wake_up(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[expect(clippy::disallowed_methods, reason = "the worker reads the clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests;
