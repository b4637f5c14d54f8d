//! A watch of one namespace that notes when each refresh was patched and when it was synced.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use eso_relay_lab::{
    cluster::{Kind, REFRESH, objects},
    standin::synced_resource_version,
};
use futures::StreamExt as _;
use kube::{
    Client, ResourceExt as _,
    api::DynamicObject,
    runtime::{
        WatchStreamExt as _,
        watcher::{Config, Event, watcher},
    },
};
use tokio_util::task::AbortOnDropHandle;

/// What has been seen so far.
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
    pub(crate) fn last(&self, name: &str) -> Option<Sighting> {
        lock(&self.seen).get(name)?.last().cloned()
    }

    /// How often these have been refreshed, together.
    pub(crate) fn count<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> usize {
        let seen = lock(&self.seen);
        names
            .into_iter()
            .map(|name| seen.get(name).map_or(0, Vec::len))
            .sum()
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
    if let Some(last) = all.last_mut()
        && is_synced(object)
    {
        last.synced.get_or_insert_with(Instant::now);
    }
}

/// Whether ESO has synced the object as it is now.
fn is_synced(object: &DynamicObject) -> bool {
    let status = &object.data["status"];
    let conditions = status["conditions"].as_array();
    status["syncedResourceVersion"] == synced_resource_version(&object.metadata)
        && conditions.is_some_and(|conditions| {
            let ready = |it: &&serde_json::Value| it["type"] == "Ready" && it["status"] == "True";
            conditions.iter().any(|condition| ready(&condition))
        })
}

fn lock<T>(seen: &Mutex<T>) -> MutexGuard<'_, T> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
