//! A stand-in for kubernetes-external-secrets (KES): when it polls and what it writes, as KES 8.5 does
//! (`lib/daemon.js`, `lib/poller.js`).

mod poller;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use kube::Client;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    cluster::{Fixture, Kind},
    installation::Cluster,
    kubernetes_api::crds,
    lock,
    standin::SecretValues,
};

/// A running stand-in; it stops when dropped.
pub struct Kes {
    polls: Polls,
    _running: AbortOnDropHandle<()>,
}

/// How it is to work.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct KesBuilder {
    /// `None`: with `DISABLE_POLLING`.
    interval: Option<Duration>,
    instance: Option<String>,
    delay: Duration,
}

/// How often each object was polled, by namespace and name.
#[derive(Clone, Default)]
struct Polls(Arc<Mutex<HashMap<(String, String), u64>>>);

impl Kes {
    /// With `DISABLE_POLLING` and without an `INSTANCE_ID`; each poll takes no time.
    pub fn builder() -> KesBuilder {
        KesBuilder::default()
    }

    /// How many polls of the object have begun.
    pub fn polls(&self, namespace: &str, name: &str) -> u64 {
        let key = (namespace.to_owned(), name.to_owned());
        lock(&self.polls.0).get(&key).copied().unwrap_or_default()
    }
}

impl KesBuilder {
    /// `POLLER_INTERVAL_MILLISECONDS`, without `DISABLE_POLLING`.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// `INSTANCE_ID`.
    pub fn instance(mut self, instance: &str) -> Self {
        self.instance = Some(instance.to_owned());
        self
    }

    /// Between what a poll reads from the backend and what it writes.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The backends of all objects hold these values.
    pub fn start(self, client: &Client, values: &SecretValues) -> Kes {
        let polls = Polls::default();
        let run = poller::run(client.clone(), values.clone(), self, polls.clone());
        Kes {
            polls,
            _running: AbortOnDropHandle::new(tokio::spawn(run)),
        }
    }
}

/// Makes the API serve the ExternalSecrets of KES.
///
/// # Errors
/// The definition cannot be applied, or is not served in time.
pub async fn serve_kes(cluster: &Cluster) -> anyhow::Result<()> {
    match cluster.as_stand_in() {
        Some(stand_in) => stand_in.serve_kes(),
        None => crds::install_own(cluster.client(), "kes/externalsecrets.yaml").await?,
    }
    Ok(())
}

/// An ExternalSecret of KES that reads one key into `value`, with more fields in its `spec`.
pub fn kes_external_secret(
    namespace: &str,
    name: &str,
    backend: &str,
    key: &str,
    more: &Value,
) -> Fixture {
    let mut spec = json!({ "backendType": backend, "data": [{ "key": key, "name": "value" }] });
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    Fixture::new(Kind::KesExternalSecret, Some(namespace), name, spec)
}
