//! A stand-in for External Secrets Operator: its decision to refresh, its status, its Secrets, and what
//! its ClusterExternalSecrets do to what they own, over any API. Values come from memory. It has no timer: nothing refreshes unless an object changes.

mod decide;
mod owners;
mod queue;
mod status;
mod sync;
#[cfg(test)]
mod tests;
mod values;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use kube::Client;
use tokio_util::task::AbortOnDropHandle;

use crate::lock;

pub use status::synced_resource_version;
pub use values::SecretValues;

/// A running stand-in ESO; it stops when dropped.
pub struct Eso {
    synced: Synced,
    _running: AbortOnDropHandle<()>,
    _owners: AbortOnDropHandle<()>,
}

/// How it is to work.
#[derive(Debug, Clone)]
#[must_use]
pub struct EsoBuilder {
    workers: usize,
    delay: Duration,
    secrets: bool,
}

/// What each ExternalSecret, by namespace and name, got last.
#[derive(Clone, Default)]
struct Synced(Arc<Mutex<HashMap<(String, String), LastSync>>>);

#[derive(Debug, Clone, Default)]
struct LastSync {
    values: BTreeMap<String, String>,
    count: u64,
}

impl Eso {
    /// As ESO comes: one worker, no delay, real Secrets.
    pub fn builder() -> EsoBuilder {
        EsoBuilder {
            workers: 1,
            delay: Duration::ZERO,
            secrets: true,
        }
    }

    /// The values that an ExternalSecret got last, by the key in its Secret; `None` before its first sync.
    pub fn values(&self, namespace: &str, name: &str) -> Option<BTreeMap<String, String>> {
        let key = (namespace.to_owned(), name.to_owned());
        lock(&self.synced.0)
            .get(&key)
            .map(|last| last.values.clone())
    }

    /// How often an ExternalSecret has been synced.
    pub fn syncs(&self, namespace: &str, name: &str) -> u64 {
        let key = (namespace.to_owned(), name.to_owned());
        lock(&self.synced.0).get(&key).map_or(0, |last| last.count)
    }

    /// Syncs of all ExternalSecrets together.
    pub fn total_syncs(&self) -> u64 {
        lock(&self.synced.0).values().map(|last| last.count).sum()
    }
}

impl EsoBuilder {
    /// ESO's `--concurrent`.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// How long each sync takes, before it reads the values.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Writes no Secrets: one API call less for each sync.
    pub fn without_secrets(mut self) -> Self {
        self.secrets = false;
        self
    }

    pub fn start(self, client: &Client, values: &SecretValues) -> Eso {
        let synced = Synced::default();
        let worker = sync::Syncer {
            client: client.clone(),
            values: values.clone(),
            synced: synced.clone(),
            delay: self.delay,
            secrets: self.secrets,
        };
        let owners = owners::run(client.clone());
        Eso {
            synced,
            _owners: AbortOnDropHandle::new(tokio::spawn(owners)),
            _running: AbortOnDropHandle::new(tokio::spawn(queue::run(worker, self.workers))),
        }
    }
}

impl Synced {
    fn record(&self, namespace: String, name: String, values: BTreeMap<String, String>) {
        let mut synced = lock(&self.0);
        let last = synced.entry((namespace, name)).or_default();
        last.values = values;
        last.count += 1;
    }
}
