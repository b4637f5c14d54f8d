//! Detects events that this cluster has missed (a *gap*), and has everything refreshed once.
//!
//! The gap is stored with the cluster's [`Position`]. One replica claims it, refreshes everything, and then
//! removes it. Until then every replica finds it at each check, and takes over when the claim is old: an
//! object that carries the gap's mark already is not patched again.

mod missed;
mod store;
mod stuck;

use std::time::Duration;

use anyhow::Context as _;
use async_nats::{Client, jetstream::Context};
use eso_relay::{
    Event, Slug,
    admin::ProblemLog,
    event::{Pattern, Reach},
    nats,
    stream::{
        Position,
        position::{Gap, Replica},
    },
};
use jiff::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::{error, info, warn};

use self::{missed::newly_missed, store::PositionStore, stuck::StuckDetector};
use crate::{
    object::Sequence,
    report::metrics::Metrics,
    stream::{Message, Reply},
};

/// Between two checks, and before the next try when the first check on a connection failed.
const EVERY: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(500);
/// How often the client is asked for a new connection.
const POLL: Duration = Duration::from_millis(100);
/// How long a check waits for a connection that has just been lost.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a stopping replica may take to remove itself from the position.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);
/// The source of gap events, in logs and receipts.
const SOURCE: &str = "gap";

/// Checks for gaps, sends them to the worker, and stores the position.
pub(crate) struct GapWatcher {
    client: Client,
    store: PositionStore,
    metrics: Metrics,
    /// The random name of this replica in the position.
    replica: String,
    holding: watch::Receiver<Holding>,
    /// To the worker, one at a time.
    found: mpsc::Sender<Gap>,
    outcomes: mpsc::Receiver<GapOutcome>,
    /// Whether the worker has a gap.
    in_progress: bool,
    checked: watch::Sender<GapCheck>,
    stuck_detector: StuckDetector,
}

/// The channels between [`GapWatcher`], the worker and the pull loop.
pub(crate) struct GapChannels {
    pub(crate) found: mpsc::Receiver<Gap>,
    pub(crate) outcomes: mpsc::Sender<GapOutcome>,
    pub(crate) checked: watch::Receiver<GapCheck>,
    pub(crate) holding: watch::Sender<Holding>,
}

/// The state of the first check on a connection. Nothing is pulled before it is done: an ack moves the
/// floor that it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GapCheck {
    Pending,
    /// It will be retried soon; or the gap must be refreshed first.
    Failed {
        reason: String,
    },
    /// On this connection of the client: see [`nats::connection`].
    Done(u64),
}

/// The un-acked messages that this replica holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Holding {
    /// Whether it can refresh everything: its index is complete, and it is not stopping.
    pub(crate) refreshes: bool,
    pub(crate) held: usize,
    pub(crate) lowest: Option<Sequence>,
    /// By when the server redelivers all that were nak'ed with a delay.
    pub(crate) until: Option<Timestamp>,
}

/// How the refresh of everything ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GapOutcome {
    /// Everything is refreshed.
    Closed(Gap),
    /// It has to start again, here or in another replica.
    Retry,
}

impl GapWatcher {
    pub(crate) fn new(
        client: Client,
        jetstream: Context,
        cluster: Slug,
        metrics: Metrics,
    ) -> (Self, GapChannels) {
        let (found, gaps) = mpsc::channel(1);
        let (ended, outcomes) = mpsc::channel(8);
        let (checked, may_pull) = watch::channel(GapCheck::Pending);
        let (holds, holding) = watch::channel(Holding::default());
        let channels = GapChannels {
            found: gaps,
            outcomes: ended,
            checked: may_pull,
            holding: holds,
        };
        let watcher = Self {
            client,
            store: PositionStore { jetstream, cluster },
            metrics,
            replica: format!("{:016x}", fastrand::u64(..)),
            holding,
            found,
            outcomes,
            in_progress: false,
            checked,
            stuck_detector: StuckDetector::default(),
        };
        (watcher, channels)
    }

    /// Runs until the worker has ended.
    pub(crate) async fn run(mut self) {
        let mut log = ProblemLog::default();
        let mut next = NextCheck {
            at: Instant::now(),
            connection: nats::connection(&self.client),
            worker: None,
        };
        loop {
            tokio::select! {
                () = next.is_due(&self.client) => {
                    if let Err(problem) = self.check(&mut next).await {
                        let problem = format!("{problem:#}");
                        self.failed(&problem, &mut next);
                        if log.is_new(&problem) {
                            warn!(problem, "cannot check for missed events; retrying");
                        }
                    } else {
                        log.clear();
                    }
                }
                outcome = self.outcomes.recv() => match outcome {
                    Some(outcome) => self.ended(outcome).await,
                    None => break,
                },
            }
        }
        self.leave().await;
    }

    /// Updates the position, and sends a gap to the worker if this replica has claimed it.
    async fn check(&mut self, next: &mut NextCheck) -> anyhow::Result<()> {
        let connected = timeout(CONNECT_TIMEOUT, nats::connected(&self.client)).await;
        connected.context("not connected to NATS")??;
        let connection = nats::connection(&self.client);
        next.connection = connection;
        let holding = *self.holding.borrow();
        let (name, detector) = (&self.replica, &mut self.stuck_detector);
        let decide = |last: Option<&Position>, server: &store::ServerState| {
            let now = now();
            let position = Position::after(last, &server.seen, now)
                .with_replica(name, holding.as_replica(now));
            let stuck = detector.observe(Instant::now(), connection, server, &position);
            let position = position.with_stuck(stuck, &server.seen, now);
            if holding.refreshes {
                position.claimed(name, now)
            } else {
                position
            }
        };
        let (last, position) = self.store.update(decide).await?;
        self.report_stuck(last.as_ref(), &position);
        let missed = newly_missed(last.as_ref(), &position);
        self.metrics.gap(position.gap.is_some(), missed);
        let waits = position.gap.is_some() && !holding.refreshes;
        let is_first = waits && position.taken.is_none();
        if position.is_taken_by(&self.replica) {
            self.send_gap(position);
        }
        // A message that is pulled supersedes the gap at its objects, so the gap comes first.
        self.checked.send_replace(if is_first {
            let reason = "events were missed: everything is refreshed first".to_owned();
            GapCheck::Failed { reason }
        } else {
            GapCheck::Done(connection)
        });
        *next = NextCheck {
            at: Instant::now() + EVERY,
            connection,
            worker: waits.then(|| self.holding.clone()),
        };
        Ok(())
    }

    /// Schedules the next check after one that failed.
    fn failed(&self, reason: &str, next: &mut NextCheck) {
        let done = GapCheck::Done(nats::connection(&self.client));
        let is_first = self.checked.send_if_modified(|checked| {
            let is_first = *checked != done;
            if is_first {
                let reason = reason.to_owned();
                *checked = GapCheck::Failed { reason };
            }
            is_first
        });
        next.at = Instant::now() + if is_first { RETRY } else { EVERY };
    }

    /// The worker takes one gap at a time.
    fn send_gap(&mut self, position: Position) {
        let Some(gap) = position.gap.filter(|_| !self.in_progress) else {
            return;
        };
        let Gap { found_at, missed } = &gap;
        error!(
            %found_at,
            missed,
            "this cluster has missed events: refreshing everything once"
        );
        self.metrics.gaps.inc();
        self.in_progress = self.found.try_send(gap).is_ok();
    }

    /// Reports stuck messages, once.
    fn report_stuck(&self, last: Option<&Position>, position: &Position) {
        let count = |position: &Position| position.stuck.map_or(0, |stuck| stuck.count);
        let (known, stuck) = (last.map_or(0, count), count(position));
        self.metrics
            .stuck
            .set(i64::try_from(stuck).unwrap_or(i64::MAX));
        if stuck > known {
            let floor = position.stuck.map(|stuck| stuck.floor);
            error!(
                stuck,
                floor,
                "the server does not redeliver messages that no replica holds: they count as missed; look for storage errors in its log"
            );
        }
    }

    async fn ended(&mut self, outcome: GapOutcome) {
        self.in_progress = false;
        match outcome {
            GapOutcome::Closed(gap) => match self.store.change(|last| last.closed(&gap)).await {
                Ok(()) => info!(found_at = %gap.found_at, "everything has been refreshed"),
                // The next check finds the gap again; objects that carry its mark are not patched.
                Err(error) => warn!(
                    error = format!("{error:#}"),
                    "cannot store that everything has been refreshed"
                ),
            },
            GapOutcome::Retry => {
                // OK if it fails: the claim expires.
                let replica = &self.replica;
                self.store.change(|last| last.released(replica)).await.ok();
            }
        }
    }

    /// Removes this replica from the position, so that the others need not wait until its entry expires.
    async fn leave(&self) {
        let holding = *self.holding.borrow();
        let left = |last: Position| last.without_replica(&self.replica, holding.as_replica(now()));
        timeout(LEAVE_TIMEOUT, self.store.change(left)).await.ok();
    }
}

/// What the next check waits for: the earliest of these.
struct NextCheck {
    at: Instant,
    /// The connection of the last check: a new one is checked at once.
    connection: u64,
    /// A gap waits until this replica can refresh everything.
    worker: Option<watch::Receiver<Holding>>,
}

impl NextCheck {
    async fn is_due(&self, client: &Client) {
        let reconnected = async {
            while nats::connection(client) == self.connection {
                sleep(POLL).await;
            }
        };
        let ready = async {
            let mut worker = match &self.worker {
                Some(worker) => worker.clone(),
                None => std::future::pending().await,
            };
            if worker.wait_for(|holding| holding.refreshes).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = sleep_until(self.at) => {}
            () = reconnected => {}
            () = ready => {}
        }
        // The check itself refuses a server that is too old.
        nats::connected(client).await.ok();
    }
}

impl Holding {
    fn as_replica(self, at: Timestamp) -> Replica {
        Replica {
            at,
            held: self.held as u64,
            lowest: self.lowest,
            until: self.until,
        }
    }
}

/// A message with the one event that refreshes everything.
pub(crate) fn message(gap: Gap, cluster: &Slug) -> Message {
    let id = format!("{cluster}/{}", gap.found_at);
    let target = Reach {
        clusters: vec![Pattern::new(cluster.as_str())],
        ..Reach::default()
    };
    // OK because it is a slug.
    let source = SOURCE.parse().expect("a slug");
    let event = Event::refresh_everything(source, id, target, gap.found_at);
    Message::synthetic(&event, Reply::Gap(gap))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the position holds the time of the check"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
