//! The task that owns the engine and the index. It reads downwards:
//!
//! - [`Worker::run`] waits for the next message, change of the cluster, or finished request;
//! - [`Worker::accept`] matches a message, and gives the engine the delivery;
//! - `execute.rs` executes the engine's outputs: patches, acks, naks, dead letters;
//! - [`Worker::patched`] takes the result of a patch, and the next output is the ack.
//!
//! Beside this, `changes.rs` applies changes of the cluster, and matches the events of a moment ago with them. The
//! [`Reporter`] logs and counts what happened.

mod changes;
mod denied;
mod execute;
mod held;
mod recent;
mod restored;

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
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
    execute::{Patched, Restarted, Stored},
    held::Held,
    recent::Recent,
};
use crate::{
    engine::{Engine, Input},
    kubernetes::refresh::Refresher,
    matching::{
        Resolved, StorePolicy,
        index::{Change, Index},
        resolve,
    },
    object::{ObjectRef, Outcome, RefreshMark},
    report::{AnsweredPatch, Reporter},
    stream::{
        Credit, Message, Pulled, Reply,
        gap::{self, GapOutcome, Holding},
        watch_list::Ask,
    },
};

/// How often the gauges are updated.
const GAUGES: Duration = Duration::from_secs(10);
/// The most messages or changes that are received at once, before the engine's outputs are executed.
const RECEIVE: usize = 64;
/// Nothing more is pulled while the bodies of the held messages take more bytes. At most 256 messages
/// that were requested before still arrive.
const HELD_BYTES: usize = 8 * 1024 * 1024;
/// How long the server may take to receive the last acks.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// What the worker receives.
pub(crate) struct Inputs {
    pub messages: mpsc::Receiver<Pulled>,
    /// How many messages the pull loop may request.
    pub credit: watch::Sender<Credit>,
    pub changes: mpsc::Receiver<Change>,
    pub gaps: mpsc::Receiver<Gap>,
    /// Of the watch list; closed where it is off.
    pub asks: mpsc::Receiver<Ask>,
    pub stop: CancellationToken,
    /// Unmet once the worker is stopping.
    pub running: Condition,
}

/// What the worker calls and sends to.
pub(crate) struct Context {
    pub cluster: Slug,
    pub client: Client,
    pub jetstream: jetstream::Context,
    pub refresher: Arc<Refresher>,
    pub stores: StorePolicy,
    /// How the refresh for a gap ended.
    pub gap_outcomes: mpsc::Sender<GapOutcome>,
    /// Which messages this replica holds, for the position that the replicas share.
    pub holding: watch::Sender<Holding>,
}

pub(crate) struct Worker {
    context: Context,
    engine: Engine,
    index: Index,
    held: Held,
    recent: Recent,
    /// Objects that the watch has shown since recent events were matched.
    appeared: BTreeSet<ObjectRef>,
    /// Marks that another controller removed before ESO looked.
    removed_marks: Vec<(ObjectRef, RefreshMark)>,
    denied: Denied,
    /// Namespaces whose access was restored, and that have not been refreshed since.
    restored: BTreeSet<String>,
    report: Reporter,
    patches: JoinSet<Patched>,
    restarts: JoinSet<Restarted>,
    probes: JoinSet<Outcome>,
    dead_letters: JoinSet<Stored>,
    /// The engine's clock starts here.
    started: Instant,
    received: Credit,
    phase: Phase,
}

/// The stages of a shutdown.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// Nothing new is started. Naks wait in the list until the pull loop has ended: an open pull request
    /// would fetch the messages again.
    Stopping(Vec<(Reply, Option<Duration>)>),
    /// Only what was started before is left.
    Finishing,
}

impl Worker {
    pub(crate) fn new(engine: Engine, context: Context, report: Reporter) -> Self {
        Self {
            report,
            context,
            engine,
            index: Index::new(),
            held: Held::default(),
            recent: Recent::default(),
            appeared: BTreeSet::new(),
            removed_marks: Vec::new(),
            denied: Denied::default(),
            restored: BTreeSet::new(),
            patches: JoinSet::new(),
            restarts: JoinSet::new(),
            probes: JoinSet::new(),
            dead_letters: JoinSet::new(),
            started: Instant::now(),
            received: 0,
            phase: Phase::Running,
        }
    }

    /// Runs until `stop`, and then until everything that was started is finished and acked.
    pub(crate) async fn run(mut self, mut inputs: Inputs) -> anyhow::Result<()> {
        inputs.running.met();
        let mut gauges = interval(GAUGES);
        let (mut messages, mut changes) = (Vec::new(), Vec::new());
        let mut watching = true;
        while self.phase != Phase::Finishing || !self.engine.is_idle() {
            self.grant(&inputs.credit);
            let wake = self.engine.wake_at().map(|at| self.started + at);
            tokio::select! {
                count = inputs.messages.recv_many(&mut messages, RECEIVE), if self.phase != Phase::Finishing => {
                    self.accept_gap(&mut inputs.gaps);
                    messages.drain(..).for_each(|pulled| self.receive(pulled));
                    if count == 0 {
                        inputs.running.unmet("stopping");
                        self.stop();
                        self.execute().await;
                        self.hand_back().await;
                    }
                }
                count = inputs.changes.recv_many(&mut changes, RECEIVE), if watching => {
                    changes.drain(..).for_each(|change| self.apply(change));
                    watching = count > 0;
                }
                Some(gap) = inputs.gaps.recv(), if self.may_refresh_everything() => {
                    self.refresh_everything(gap);
                }
                Some(patched) = self.patches.join_next() => self.patched(patched?),
                Some(restarted) = self.restarts.join_next() => self.restarted(restarted?),
                Some(probe) = self.probes.join_next() => self.probed(&probe?),
                Some(stored) = self.dead_letters.join_next() => self.stored(stored?),
                () = inputs.stop.cancelled(), if self.phase == Phase::Running => {
                    inputs.running.unmet("stopping");
                    self.stop();
                }
                () = wake_up(wake) => self.handle(Input::Tick),
                _ = gauges.tick() => self.gauges(),
                Some(ask) = inputs.asks.recv() => ask.answer_from(&self.index),
            }
            self.match_recent();
            self.refresh_restored();
            self.execute().await;
            self.report.send_receipts();
        }
        self.publish_holding();
        self.report.end();
        self.flush_acks().await;
        Ok(())
    }

    fn receive(&mut self, pulled: Pulled) {
        let message = match pulled {
            Pulled::Message(message) => message,
            Pulled::CaughtUp => return self.handle(Input::CaughtUp),
        };
        self.received += 1;
        match &mut self.phase {
            Phase::Stopping(naks) => naks.push((message.reply, None)),
            Phase::Running | Phase::Finishing => self.accept(message),
        }
    }

    /// Events were missed: every object is refreshed.
    fn refresh_everything(&mut self, gap: Gap) {
        self.accept(gap::message(gap, &self.context.cluster));
    }

    /// Matches a message with the objects, and gives the engine the delivery.
    fn accept(&mut self, message: Message) {
        let (sequence, attempt) = (message.sequence, message.attempt);
        let context = &self.context;
        let resolve = || resolve(&message, &self.index, &context.cluster, &context.stores);
        // OK to continue after a panic: resolving only reads.
        let Ok((resolved, events)) = catch_unwind(AssertUnwindSafe(resolve)) else {
            self.report.panicked(sequence, attempt);
            self.held.insert(message, Vec::new());
            self.handle(Input::Panicked { sequence, attempt });
            return;
        };
        let Resolved {
            delivery,
            events: matched,
            skipped,
        } = resolved;
        self.denied.note(&message, &events, &skipped);
        // The redelivery of a held message changes neither its work nor its receipt.
        let is_new = !self.held.knows(sequence);
        if let (Reply::Ack(_), true) = (&message.reply, is_new) {
            let now = self.started.elapsed();
            self.recent.push(now, message.clone(), events);
        }
        self.report.accepted(
            &message,
            &matched,
            &delivery.restarts,
            &skipped,
            is_new,
            &self.index,
        );
        self.report.undecodable(delivery.rejected.len());
        self.held.insert(message, matched);
        self.handle(Input::Delivery(delivery));
    }

    fn handle(&mut self, input: Input) {
        let was_away = self.engine.is_away();
        self.engine.handle(self.started.elapsed(), input);
        let is_away = self.engine.is_away();
        if was_away != is_away {
            self.report.api_is_away(is_away);
        }
    }

    /// A patch has a result.
    fn patched(&mut self, patched: Patched) {
        let Patched {
            target,
            value,
            event,
            outcome,
            status,
            reset,
            took,
        } = patched;
        self.report.reset(&reset);
        let patch = AnsweredPatch {
            target: &target,
            value,
            outcome: &outcome,
            status,
            took,
        };
        self.report.patched(&patch, event.as_ref());
        self.handle(Input::Patched {
            target,
            value,
            outcome,
        });
    }

    /// Nothing is pulled before the index is complete: an event would miss objects.
    fn grant(&self, credit: &watch::Sender<Credit>) {
        let open = self.phase == Phase::Running
            && self.index.is_synced()
            && self.held.bytes() < HELD_BYTES;
        let room = if open { self.engine.capacity() } else { 0 };
        let granted = self.received + room as Credit;
        credit.send_if_modified(|credit| std::mem::replace(credit, granted) != granted);
    }

    /// A gap is found before anything is pulled on its connection, and is accepted first: else its older
    /// value would overwrite that of a message which is already done.
    fn accept_gap(&mut self, gaps: &mut mpsc::Receiver<Gap>) {
        if self.may_refresh_everything()
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
        self.publish_holding();
    }

    fn gauges(&mut self) {
        let (held, parked) = (self.held.len(), self.held.parked());
        let oldest = self.held.oldest();
        self.report
            .gauges(held, parked, oldest, &self.engine, &self.index);
        self.publish_holding();
    }

    /// Publishes which messages this replica holds. From all of these the replicas find stuck messages, which
    /// none of them holds.
    fn publish_holding(&mut self) {
        let refreshes = self.phase == Phase::Running && self.index.is_synced();
        let holding = Holding {
            refreshes,
            ..self.held.holding(now())
        };
        self.context.holding.send_replace(holding);
    }

    /// A reply proves that the server has read every ack before the request. A flush only proves that they
    /// were sent, and closing the socket too early can still lose them.
    async fn flush_acks(&self) {
        let last = verify::durable(&self.context.jetstream, &self.context.cluster);
        let arrived = matches!(timeout(FLUSH_TIMEOUT, last).await, Ok(Ok(_)));
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
