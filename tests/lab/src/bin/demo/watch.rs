//! What the demo looks at: when each ExternalSecret was patched and synced, what stands in the events
//! stream, and how far each cluster's durable is.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use anyhow::Context as _;
use async_nats::jetstream::{
    Context,
    consumer::{Info, pull},
};
use eso_relay::{event::decode_batch, stream::Stream};
use eso_relay_lab::{
    cluster::{Kind, REFRESH, objects},
    standin::synced_resource_version,
};
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::{
    Client, ResourceExt as _,
    api::DynamicObject,
    runtime::{
        WatchStreamExt as _,
        watcher::{Config, Event, watcher},
    },
};
use tokio_util::task::AbortOnDropHandle;

/// The refreshes of a namespace's ExternalSecrets, as a watch has seen them.
pub(crate) struct Sightings {
    seen: Seen,
    _watching: AbortOnDropHandle<()>,
}

/// By the name of the ExternalSecret, oldest first.
type Seen = Arc<Mutex<HashMap<String, Vec<Sighting>>>>;

/// One refresh of one ExternalSecret.
#[derive(Debug, Clone)]
pub(crate) struct Sighting {
    pub(crate) refresh: String,
    pub(crate) patched: Instant,
    pub(crate) synced: Option<Instant>,
}

impl Sightings {
    pub(crate) fn watch(client: &Client, namespace: &str) -> Self {
        let seen = Seen::default();
        let api = objects(client, Kind::ExternalSecret, Some(namespace));
        let notes = seen.clone();
        let watching = async move {
            let mut events = pin!(watcher(api, Config::default()).default_backoff());
            while let Some(event) = events.next().await {
                if let Ok(Event::Apply(object) | Event::InitApply(object)) = event {
                    note(&mut lock(&notes), &object);
                }
            }
        };
        Self {
            seen,
            _watching: AbortOnDropHandle::new(tokio::spawn(watching)),
        }
    }

    pub(crate) fn of(&self, name: &str, refresh: &str) -> Option<Sighting> {
        let seen = lock(&self.seen);
        let mut all = seen.get(name)?.iter().rev();
        all.find(|sighting| sighting.refresh == refresh).cloned()
    }

    /// The newest refresh.
    pub(crate) fn last(&self, name: &str) -> Option<String> {
        let seen = lock(&self.seen);
        Some(seen.get(name)?.last()?.refresh.clone())
    }

    /// How often this one was refreshed.
    pub(crate) fn count(&self, name: &str) -> usize {
        lock(&self.seen).get(name).map_or(0, Vec::len)
    }
}

fn note(seen: &mut HashMap<String, Vec<Sighting>>, object: &DynamicObject) {
    let Some(refresh) = object.annotations().get(REFRESH) else {
        return;
    };
    let all = seen.entry(object.name_any()).or_default();
    if all.last().is_none_or(|last| last.refresh != *refresh) {
        all.push(Sighting {
            refresh: refresh.clone(),
            patched: Instant::now(),
            synced: None,
        });
    }
    let status = &object.data["status"];
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut ready = conditions.filter(|it| it["type"] == "Ready" && it["status"] == "True");
    if let Some(last) = all.last_mut()
        && status["syncedResourceVersion"] == synced_resource_version(&object.metadata)
        && ready.next().is_some()
    {
        last.synced.get_or_insert_with(Instant::now);
    }
}

fn lock<T>(seen: &Mutex<T>) -> MutexGuard<'_, T> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The events stream, read past all durables.
pub(crate) struct Journal {
    pub(crate) jetstream: Context,
    next: u64,
    events: HashMap<String, Published>,
}

/// Where an event stands.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) sequence: u64,
    /// When the server stored it.
    pub(crate) at: Timestamp,
    /// What the annotation of its targets becomes.
    pub(crate) refresh: String,
}

impl Journal {
    pub(crate) fn open(jetstream: Context) -> Self {
        Self {
            jetstream,
            next: 1,
            events: HashMap::new(),
        }
    }

    /// The event that the ingress answered with this id.
    pub(crate) async fn find(&mut self, id: &str) -> anyhow::Result<Published> {
        if !self.events.contains_key(id) {
            self.read_on().await?;
        }
        let found = self.events.get(id).cloned();
        found.with_context(|| {
            format!("expected: event {id} in the stream, because it was answered 202")
        })
    }

    /// The sequence of the newest message.
    pub(crate) async fn last(&self) -> anyhow::Result<u64> {
        let stream = self.jetstream.get_stream(Stream::Events.name()).await?;
        Ok(stream.cached_info().state.last_sequence)
    }

    /// The durable of a cluster, as it is now.
    pub(crate) async fn durable(&self, cluster: &str) -> anyhow::Result<Info> {
        let durable = self
            .jetstream
            .get_consumer_from_stream::<pull::Config, _, _>(cluster, Stream::Events.name());
        Ok(durable.await?.cached_info().clone())
    }

    /// The durable of a cluster, once nothing waits and all is acked.
    pub(crate) async fn drained(&self, cluster: &str) -> anyhow::Result<Info> {
        let durable = self.durable(cluster).await?;
        let (pending, unacked) = (durable.num_pending, durable.num_ack_pending);
        anyhow::ensure!(
            pending == 0 && unacked == 0,
            "{pending} wait, {unacked} are not acked"
        );
        Ok(durable)
    }

    async fn read_on(&mut self) -> anyhow::Result<()> {
        let stream = self.jetstream.get_stream(Stream::Events.name()).await?;
        let last = stream.cached_info().state.last_sequence;
        while self.next <= last {
            let message = stream.get_raw_message(self.next).await?;
            let at = Timestamp::from_nanosecond(message.time.unix_timestamp_nanos())?;
            // A message that cannot be read becomes a dead letter.
            let events = decode_batch(&message.payload).unwrap_or_default();
            for event in events.into_iter().flatten() {
                let published = Published {
                    sequence: self.next,
                    at,
                    refresh: event.fingerprint().to_string(),
                };
                self.events.insert(event.id, published);
            }
            self.next += 1;
        }
        Ok(())
    }
}
