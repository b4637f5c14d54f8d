//! Events that this cluster has missed: then everything is refreshed once.
//!
//! The position is written down (see [`Position`]) together with the gap, and the gap is taken out when
//! everything has been refreshed, by the one replica that has claimed it. Until then every replica finds
//! it at each look, and goes on when the claim is old: what carries the gap's value already needs no patch.

mod book;
mod stuck;

use std::time::Duration;

use anyhow::Context as _;
use async_nats::{Client, jetstream::Context};
use eso_relay::{
    Event, Slug,
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

use self::{book::Book, stuck::Looks};
use crate::{
    object::Sequence,
    report::metrics::Metrics,
    stream::{Received, Reply},
};

/// How often the server is asked, and how soon again when it has not answered on this connection.
const EVERY: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(500);
/// How often a new connection is looked for.
const POLL: Duration = Duration::from_millis(100);
/// How long a look waits for a connection that has just been lost.
const WAIT: Duration = Duration::from_secs(2);
/// How long the last word of a replica that stops may take.
const LEAVE: Duration = Duration::from_secs(2);
/// Whose events these are, in logs and receipts.
const SOURCE: &str = "gap";

/// Looks, hands gaps to the worker, and writes down when they are closed.
pub struct Gaps {
    client: Client,
    book: Book,
    metrics: Metrics,
    /// What the other replicas know this one by.
    replica: String,
    holding: watch::Receiver<Holding>,
    /// To the worker, one at a time.
    found: mpsc::Sender<Gap>,
    ended: mpsc::Receiver<Ended>,
    at_work: bool,
    looked: watch::Sender<Looked>,
    looks: Looks,
}

/// Where others learn of [`Gaps`], and tell it.
pub struct Ends {
    pub found: mpsc::Receiver<Gap>,
    pub ended: mpsc::Sender<Ended>,
    pub looked: watch::Receiver<Looked>,
    pub holding: watch::Sender<Holding>,
}

/// Nothing may be pulled before the first look on each connection: an ack moves what it looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    NotYet,
    /// Tried, and tried again soon; or there is something to be done first.
    Failed {
        why: String,
    },
    /// On this connection of the client: see [`nats::connection`].
    On(u64),
}

/// What this replica holds of the messages that the server waits for an ack of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holding {
    /// Whether it can refresh everything: its index is complete, and it does not stop.
    pub refreshes: bool,
    pub held: usize,
    pub lowest: Option<Sequence>,
    /// By when all of them that were given back with a delay are delivered again.
    pub until: Option<Timestamp>,
}

/// How the refresh of everything ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is left to do for it.
    Closed(Gap),
    /// It has to begin again, here or in another replica.
    Again,
}

impl Gaps {
    pub fn new(
        client: Client,
        jetstream: Context,
        cluster: Slug,
        metrics: Metrics,
    ) -> (Self, Ends) {
        let (found, gaps) = mpsc::channel(1);
        let (ends, ended) = mpsc::channel(8);
        let (looked, may_pull) = watch::channel(Looked::NotYet);
        let (holds, holding) = watch::channel(Holding::default());
        let gaps = Ends {
            found: gaps,
            ended: ends,
            looked: may_pull,
            holding: holds,
        };
        let looking = Self {
            client,
            book: Book { jetstream, cluster },
            metrics,
            replica: format!("{:016x}", fastrand::u64(..)),
            holding,
            found,
            ended,
            at_work: false,
            looked,
            looks: Looks::default(),
        };
        (looking, gaps)
    }

    /// Until the worker has ended.
    pub async fn watch(mut self) {
        let mut said = None;
        let mut next = Next {
            at: Instant::now(),
            connection: nats::connection(&self.client),
            worker: None,
        };
        loop {
            tokio::select! {
                () = next.is_due(&self.client) => {
                    let problem = self.look(&mut next).await.err();
                    let problem = problem.map(|problem| format!("{problem:#}"));
                    if let Some(problem) = &problem {
                        self.failed(problem, &mut next);
                        if said.as_ref() != Some(problem) {
                            warn!(problem, "cannot see whether events were missed; trying again");
                        }
                    }
                    said = problem;
                }
                ended = self.ended.recv() => match ended {
                    Some(ended) => self.ended(ended).await,
                    None => break,
                },
            }
        }
        self.leave().await;
    }

    /// Brings the position up to date, and hands a gap to the worker if this replica takes it.
    async fn look(&mut self, next: &mut Next) -> anyhow::Result<()> {
        let connected = timeout(WAIT, nats::connected(&self.client)).await;
        connected.context("not connected to NATS")??;
        let connection = nats::connection(&self.client);
        next.connection = connection;
        let holding = *self.holding.borrow();
        let (name, looks) = (&self.replica, &mut self.looks);
        let decide = |last: Option<&Position>, server: &book::Server| {
            let now = now();
            let position =
                Position::after(last, &server.seen, now).with_replica(name, holding.told(now));
            let stuck = looks.stuck(Instant::now(), connection, server, &position);
            let position = position.with_stuck(stuck, &server.seen, now);
            if holding.refreshes {
                position.claimed(name, now)
            } else {
                position
            }
        };
        let (last, position) = self.book.look(decide).await?;
        self.stuck(last.as_ref(), &position);
        let waits = position.gap.is_some() && !holding.refreshes;
        let is_first = waits && position.taken.is_none();
        if position.is_taken_by(&self.replica) {
            self.hand_on(position);
        }
        // Whatever is pulled takes the gap's place at its targets, so the gap comes first.
        self.looked.send_replace(if is_first {
            let why = "events were missed: everything is refreshed first".to_owned();
            Looked::Failed { why }
        } else {
            Looked::On(connection)
        });
        *next = Next {
            at: Instant::now() + EVERY,
            connection,
            worker: waits.then(|| self.holding.clone()),
        };
        Ok(())
    }

    /// The look has failed, because of this. When to look again.
    fn failed(&self, why: &str, next: &mut Next) {
        let on = Looked::On(nats::connection(&self.client));
        let waits = self.looked.send_if_modified(|looked| {
            let waits = *looked != on;
            if waits {
                let why = why.to_owned();
                *looked = Looked::Failed { why };
            }
            waits
        });
        next.at = Instant::now() + if waits { AGAIN } else { EVERY };
    }

    /// The worker takes one gap at a time.
    fn hand_on(&mut self, position: Position) {
        let Some(gap) = position.gap.filter(|_| !self.at_work) else {
            return;
        };
        let Gap { found_at, missed } = &gap;
        error!(
            %found_at,
            missed,
            "this cluster has missed events: refreshing everything once"
        );
        self.metrics.gaps.inc();
        self.at_work = self.found.try_send(gap).is_ok();
    }

    /// Tells of messages that are stuck, once.
    fn stuck(&self, last: Option<&Position>, position: &Position) {
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
                "the server does not deliver messages again that no replica holds: they count as missed; look for storage errors in its log"
            );
        }
    }

    async fn ended(&mut self, ended: Ended) {
        self.at_work = false;
        match ended {
            Ended::Closed(gap) => match self.book.change(|last| last.closed(&gap)).await {
                Ok(()) => info!(found_at = %gap.found_at, "everything has been refreshed"),
                // The next look finds it again; what carries its value is not patched again.
                Err(error) => warn!(
                    error = format!("{error:#}"),
                    "cannot note that everything has been refreshed"
                ),
            },
            Ended::Again => {
                // OK if it fails: the claim grows old.
                let replica = &self.replica;
                self.book.change(|last| last.released(replica)).await.ok();
            }
        }
    }

    /// So that the other replicas need not wait until this one counts as gone.
    async fn leave(&self) {
        let holding = *self.holding.borrow();
        let left = |last: Position| last.without_replica(&self.replica, holding.told(now()));
        timeout(LEAVE, self.book.change(left)).await.ok();
    }
}

/// When the next look is due.
struct Next {
    at: Instant,
    /// That of the last look: another one is looked at once.
    connection: u64,
    /// A gap waits until this replica can refresh everything.
    worker: Option<watch::Receiver<Holding>>,
}

impl Next {
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
        // A server that is too old is the look's to refuse.
        nats::connected(client).await.ok();
    }
}

impl Holding {
    fn told(self, at: Timestamp) -> Replica {
        Replica {
            at,
            held: self.held as u64,
            lowest: self.lowest,
            until: self.until,
        }
    }
}

/// The gap as a message of one event.
pub fn message(gap: Gap, cluster: &Slug) -> Received {
    let id = format!("{cluster}/{}", gap.found_at);
    let target = Reach {
        clusters: vec![Pattern::new(cluster.as_str())],
        ..Reach::default()
    };
    // OK because it is a slug.
    let source = SOURCE.parse().expect("a slug");
    let event = Event::refresh_everything(source, id, target, gap.found_at);
    Received::own(&event, Reply::Gap(gap))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the time of finding is told to people"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
