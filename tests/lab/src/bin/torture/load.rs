//! Webhooks at a steady rate, and a look at their effects: while a round lasts. And the secrets that they
//! are about.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use eso_relay_lab::{
    installation::{Answer, Cluster, Webhooks},
    lock,
    standin::Eso,
};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::ledger::Ledger;

/// Between two webhooks.
const PACE: Duration = Duration::from_millis(50);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(25);
/// The ingress answers 503 after 8 s; who hears nothing for this long hung with it.
const PATIENCE: Duration = Duration::from_secs(12);
/// The longest that an effect may take once nothing is broken.
pub(crate) const PROMISE: Duration = Duration::from_secs(20);

/// Running senders and the one that looks.
pub(crate) struct Load {
    ledger: Arc<Mutex<Ledger>>,
    end: CancellationToken,
    sending: AbortOnDropHandle<usize>,
    _looking: AbortOnDropHandle<()>,
}

impl Load {
    /// The webhooks are numbered from `first` on.
    pub(crate) fn start(webhooks: Webhooks, clusters: &Arc<Vec<Cluster>>, first: usize) -> Self {
        let ledger = Ledger::new(clusters.len(), Instant::now());
        let ledger = Arc::new(Mutex::new(ledger));
        let end = CancellationToken::new();
        let sender = Sender {
            webhooks,
            clusters: clusters.clone(),
            ledger: ledger.clone(),
        };
        let sending = tokio::spawn(sender.run(first, end.clone()));
        let looking = tokio::spawn(look(clusters.clone(), ledger.clone()));
        Self {
            ledger,
            end,
            sending: AbortOnDropHandle::new(sending),
            _looking: AbortOnDropHandle::new(looking),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// Sends no more and waits for the last answers. The looks go on until the end is dropped.
    pub(crate) async fn stop_sending(&mut self) -> anyhow::Result<usize> {
        self.end.cancel();
        Ok((&mut self.sending).await?)
    }
}

#[derive(Clone)]
struct Sender {
    webhooks: Webhooks,
    clusters: Arc<Vec<Cluster>>,
    ledger: Arc<Mutex<Ledger>>,
}

impl Sender {
    /// Returns the number of the next webhook.
    async fn run(self, first: usize, end: CancellationToken) -> usize {
        let mut number = first;
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sent = JoinSet::new();
        while end.run_until_cancelled(pace.tick()).await.is_some() {
            sent.spawn(self.clone().send(number));
            while sent.try_join_next().is_some() {}
            number += 1;
        }
        sent.join_all().await;
        number
    }

    /// The value changes in the stores, then the store calls.
    async fn send(self, number: usize) {
        let key = Key::of(number);
        for cluster in self.clusters.iter() {
            key.change(cluster, number);
        }
        let name = key.name();
        let keys = [name.as_str()];
        let answer = timeout(PATIENCE, self.webhooks.updated(&keys)).await;
        let now = Instant::now();
        let mut ledger = lock(&self.ledger);
        match answer {
            Ok(Ok(answer)) => record(&mut ledger, number, &answer, now),
            Ok(Err(_)) | Err(_) => ledger.answers.unanswered += 1,
        }
    }
}

fn record(ledger: &mut Ledger, number: usize, answer: &Answer, now: Instant) {
    let ids = answer.accepted();
    match (answer.status.as_u16(), ids.as_slice()) {
        (202, [id]) => ledger.accepted(number, id.clone(), now),
        (503, _) => ledger.answers.refused += 1,
        (status, _) => ledger.strange.push(format!("{status}: {}", answer.body)),
    }
}

async fn look(clusters: Arc<Vec<Cluster>>, ledger: Arc<Mutex<Ledger>>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        lock(&ledger).look(Instant::now(), PROMISE, |cluster, number| {
            Key::of(number).has_arrived(&clusters[cluster].eso, number)
        });
    }
}

pub(crate) const NAMESPACE: &str = "torture";
pub(crate) const STORE: &str = "store";

/// More than the webhooks of a round: each of them stands for itself, no later one hides its loss.
const QUIET: usize = 1_000;
/// Changed again and again: the newest value wins.
const BUSY: usize = 4;

/// A secret in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// Read by one ExternalSecret.
    Quiet(usize),
    /// Read by several.
    Busy(usize),
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = Key> {
    (0..QUIET).map(Key::Quiet).chain((0..BUSY).map(Key::Busy))
}

impl Key {
    /// The one that the webhook of this number is about.
    pub(crate) fn of(number: usize) -> Self {
        if number.is_multiple_of(5) {
            Self::Busy(number / 5 % BUSY)
        } else {
            Self::Quiet(number % QUIET)
        }
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Quiet(at) => format!("/torture/quiet/{at:03}"),
            Self::Busy(at) => format!("/torture/busy/{at}"),
        }
    }

    pub(crate) fn readers(self) -> impl Iterator<Item = String> {
        let (name, readers) = match self {
            Self::Quiet(at) => (format!("quiet-{at:03}"), 1),
            Self::Busy(at) => (format!("busy-{at}"), 4),
        };
        (0..readers).map(move |reader| format!("{name}-{reader}"))
    }

    /// The store of this cluster has the value of this webhook now.
    pub(crate) fn change(self, cluster: &Cluster, number: usize) {
        cluster.values.set(&self.name(), &number.to_string());
    }

    /// Whether ESO gave each reader this value, or a newer one.
    pub(crate) fn has_arrived(self, eso: &Eso, number: usize) -> bool {
        let newest = |reader: String| {
            let values = eso.values(NAMESPACE, &reader)?;
            values.get("value")?.parse::<usize>().ok()
        };
        self.readers()
            .all(|reader| newest(reader).is_some_and(|value| value >= number))
    }
}
