//! Version polling of Vault and OpenBao: a source without HTTP. It reads metadata, never a value.
//!
//! ```text
//! paths, folders, watch list ─▶ metadata of each ─compare with what is remembered─▶ event ─PubAck─▶ remember
//! ```

mod auth;
mod config;
mod environment;
mod faults;
mod lease;
mod memory;
mod metrics;
mod place;
mod store;
#[cfg(test)]
mod tests;
mod version;
mod wanted;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use eso_relay::{
    Event, Slug,
    config::ConfigError,
    event::{Keys, Match, Origin, Reach, Settle, Version},
    stream::{Pass, Polled, PolledState, PolledVersion},
    telemetry::spans::Tracer,
    traceparent::TraceParent,
};
use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use ring::digest;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::config::{
    AppRoleLogin, JwtLogin, KubernetesLogin, PollAuthConfig, PollConfig, PollProvider,
};
pub(crate) use self::metrics::Metrics;
use self::{
    faults::{Faults, Unread},
    lease::Keeper,
    memory::{Memory, Unwanted},
    place::{Place, clean},
    store::{Answer, Store},
    version::Change,
    wanted::{Mounts, Wanted},
};
use crate::{metrics::SourceMetrics, publish::Publisher, spans};

/// The most requests to one store at a time.
const IN_FLIGHT: usize = 8;
/// How far the clocks of the store and of the poller may differ.
const CLOCKS: SignedDuration = SignedDuration::from_mins(5);
/// The longest id of an event.
const MAX_ID_BYTES: usize = 512;
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A poll of the configuration with its client: what a start needs to know before NATS.
pub(crate) struct Poll {
    settings: Settings,
    store: Store,
    metrics: Metrics,
    tracer: Tracer,
}

struct Settings {
    name: Slug,
    provider: Slug,
    host: Option<String>,
    namespace: Option<String>,
    /// Clean.
    paths: Vec<String>,
    /// Clean.
    prefixes: Vec<String>,
    watch_list: bool,
    interval: Duration,
    ignore_missing: bool,
    target: Option<Reach>,
    settle: Option<Settle>,
}

/// Polls one store.
struct Poller {
    settings: Settings,
    store: Store,
    metrics: Metrics,
    /// As a source has them.
    events: SourceMetrics,
    memory: Memory,
    publisher: Publisher,
    tracer: Tracer,
    mounts: Mounts,
    faults: Faults,
}

impl Poll {
    /// Reads the files of the configuration.
    pub(crate) fn open(
        config: &PollConfig,
        metrics: &Metrics,
        tracer: &Tracer,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let clean = |paths: &[String]| paths.iter().filter_map(|path| clean(path).ok()).collect();
        Ok(Self {
            store: Store::open(config, metrics.clone())?,
            settings: Settings {
                name: config.name.clone(),
                provider: config.provider.slug(),
                host: config.scope_host(),
                namespace: config.namespace.clone(),
                paths: clean(&config.paths),
                prefixes: clean(&config.prefixes),
                watch_list: config.watch_list,
                interval: config.interval,
                ignore_missing: config.ignore_missing,
                target: config.target.as_ref().map(crate::TargetConfig::target),
                settle: config.settle,
            },
            metrics: metrics.clone(),
            tracer: tracer.clone(),
        })
    }

    /// Until `stop`.
    pub(crate) async fn run(
        self,
        jetstream: async_nats::jetstream::Context,
        publisher: Publisher,
        requests: crate::metrics::Metrics,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let poller = Poller {
            memory: Memory::new(jetstream, self.settings.name.clone()),
            events: requests.of_poll(&self.settings.name),
            settings: self.settings,
            store: self.store,
            metrics: self.metrics,
            publisher,
            tracer: self.tracer,
            mounts: Mounts::default(),
            faults: Faults::default(),
        };
        poller.metrics.expect(&poller.settings.name);
        let keeper = Keeper::new(poller.settings.name.clone());
        let (held, holding) = watch::channel(false);
        let polling = async {
            tokio::join!(keeper.keep(&poller.memory, &held), poller.poll(holding));
        };
        stop.run_until_cancelled(polling).await;
        poller.metrics.active(&poller.settings.name, false);
        keeper.release(&poller.memory).await;
        Ok(())
    }
}

impl Poller {
    /// Passes while this replica holds the lease.
    async fn poll(&self, mut holding: watch::Receiver<bool>) {
        loop {
            // An error means that the keeper has ended, with all of this.
            holding.wait_for(|held| *held).await.ok();
            self.metrics.active(&self.settings.name, true);
            tokio::select! {
                () = self.passes() => {}
                _ = holding.wait_for(|held| !held) => {}
            }
            self.metrics.active(&self.settings.name, false);
        }
    }

    async fn passes(&self) {
        loop {
            self.pass().await;
            // So that the polls of one store, and of many installations, do not run in step.
            sleep(self.settings.interval.mul_f64(0.9 + fastrand::f64() / 5.0)).await;
        }
    }

    /// Looks at everything once. While the store does not answer, it waits where it is.
    async fn pass(&self) {
        let (began, started_at) = (Instant::now(), now());
        self.store.new_pass().await;
        let since = self.memory.last_pass().await.map(|pass| pass.started_at);
        let wanted = self.wanted().await;
        stream::iter(&wanted.places)
            .for_each_concurrent(IN_FLIGHT, |place| self.look(place, since))
            .await;
        self.see_to_the_others(&wanted, since, started_at).await;
        let paths = wanted.places.len() as u64;
        self.memory.passed(&Pass { started_at, paths }).await;
        self.faults.end_pass();
        self.metrics.passed(&self.settings.name, paths);
        if since.is_none() {
            let took = began.elapsed();
            info!(poll = %self.settings.name, paths, ?took, "the first pass is complete: from now on changes are published");
        }
    }

    /// Compares the version of a secret with the one that is remembered, publishes what has happened to it, and remembers
    /// the new one. `since`: when the last pass began that was completed.
    async fn look(&self, place: &Place, since: Option<Timestamp>) {
        let key = place.key();
        let found = match self.store.metadata(place).await {
            Answer::Found(body) => match version::parse(&body, now()) {
                Ok(version) => Some(version),
                Err(version::Malformed) => return self.unread(&key, Unread::Denied(200)),
            },
            Answer::Missing => None,
            // The change is found once it can be read again.
            Answer::Denied(status) => return self.unread(&key, Unread::Denied(status)),
        };
        match &found {
            Some(_) => self.read(&key),
            None => self.unread(&key, Unread::Missing),
        }
        let subject = self.subject(&key);
        let remembered = self.memory.version(&subject).await;
        let before = remembered.as_ref().map(|polled| &polled.version);
        let version = match (found, before) {
            (Some(version), _) => version,
            (None, Some(before)) => version::missing(before),
            (None, None) => return,
        };
        let change = match before {
            Some(before) => Change::between(before, &version),
            None => Change::of_first_sight(&version).filter(|_| is_since(&version, since)),
        };
        if let Some(change) = change {
            self.publish(&self.event(place, &version, &change)).await;
        }
        let polled = Polled {
            namespace: self.settings.namespace.clone(),
            path: key,
            version,
            unwanted_since: None,
        };
        if remembered.as_ref() != Some(&polled) {
            self.memory.remember(&subject, &polled).await;
        }
    }

    /// The secrets that are remembered and not wanted: removed from a folder of the configuration, or forgotten after a day.
    async fn see_to_the_others(&self, wanted: &Wanted, since: Option<Timestamp>, now: Timestamp) {
        let places = wanted.all();
        let known: BTreeSet<String> = places.map(|place| self.subject(&place.key())).collect();
        let subjects = self.memory.subjects().await;
        let others = subjects.iter().filter(|subject| !known.contains(*subject));
        stream::iter(others)
            .for_each_concurrent(IN_FLIGHT, |subject| {
                self.see_to(subject, wanted, since, now)
            })
            .await;
    }

    async fn see_to(
        &self,
        subject: &str,
        wanted: &Wanted,
        since: Option<Timestamp>,
        now: Timestamp,
    ) {
        let Some(polled) = self.memory.version(subject).await else {
            return self.memory.forget(subject).await;
        };
        let gone = polled.version.state == PolledState::Missing;
        let place = self.mounts.known(&polled.path);
        if let Some(place) = place.filter(|place| !gone && wanted.includes(place)) {
            return self.look(&place, since).await;
        }
        match Unwanted::at(now, polled.unwanted_since) {
            _ if wanted.incomplete => {}
            Unwanted::Mark => {
                let polled = Polled {
                    unwanted_since: Some(now),
                    ..polled
                };
                self.memory.remember(subject, &polled).await;
            }
            Unwanted::Keep => {}
            Unwanted::Forget => self.memory.forget(subject).await,
        }
    }

    fn subject(&self, key: &str) -> String {
        Polled::subject(&self.settings.name, self.settings.namespace.as_deref(), key)
    }

    fn event(&self, place: &Place, version: &PolledVersion, change: &Change) -> Event {
        let settings = &self.settings;
        let (key, received_at) = (place.key(), now());
        let scope = [
            ("host", settings.host.clone()),
            ("namespace", settings.namespace.clone()),
            ("mount", Some(place.mount.clone())),
        ];
        let scope = scope.into_iter();
        // With its metadata every version is gone.
        let number = version
            .number
            .filter(|_| version.state != PolledState::Missing);
        let number = number.map(|number| number.to_string());
        Event {
            id: self.id(&key, &change.id),
            source: settings.name.clone(),
            kind: change.kind,
            time: change.time(version),
            traceparent: Some(self.tracer.root().unwrap_or_else(TraceParent::random)),
            tracestate: None,
            provider: settings.provider.clone(),
            operation: change.operation,
            // OK because paths are bounded where they are read.
            matches: Match::Exact(Keys::one(key).expect("a key")),
            version: number.map(|number| Version {
                id: Some(number),
                labels: Vec::new(),
            }),
            scope: scope
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect::<BTreeMap<_, _>>(),
            target: settings.target.clone(),
            settle: settings.settle,
            restart: false,
            received_at,
            origin: Origin::default(),
        }
    }

    /// The same each time that a change is found: then its fingerprint is the same.
    fn id(&self, key: &str, change: &str) -> String {
        let [host, namespace] = [&self.settings.host, &self.settings.namespace]
            .map(|part| part.as_deref().unwrap_or_default());
        let id = format!("{host}/{namespace}/{key}{change}");
        if id.len() <= MAX_ID_BYTES {
            return id;
        }
        let hash = digest::digest(&digest::SHA256, id.as_bytes());
        data_encoding::HEXLOWER.encode(hash.as_ref())
    }

    /// Until the event is stored.
    async fn publish(&self, event: &Event) {
        let (began, mut pause) = (now(), Duration::from_millis(500));
        for attempt in 1.. {
            let published = self.publisher.publish(std::slice::from_ref(event), None);
            let problem = match published.await {
                Ok(stored) => {
                    spans::published(&self.tracer, event.traceparent, began, stored);
                    break;
                }
                Err(problem) => problem,
            };
            // The first one may come before the stream is checked.
            if attempt == 2 {
                warn!(poll = %self.settings.name, %problem, "cannot publish a change of a polled secret; trying again");
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.events.published(1, now());
    }
}

/// Whether the version was made after the last pass began. Before the first one is completed, nothing is known to be new.
fn is_since(version: &PolledVersion, since: Option<Timestamp>) -> bool {
    let made_at = version::made_at(version);
    made_at
        .zip(since)
        .is_some_and(|(made, since)| made.saturating_add(CLOCKS).is_ok_and(|made| made >= since))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the age of a version, and the arrival of an event"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
