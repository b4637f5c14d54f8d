//! Stand-ins for what a test cannot always have: [`StandIn`], a Kubernetes API that can be made to
//! fail in every way and to hold 100,000 objects, and [`Eso`], which answers a changed annotation as ESO does.

mod answer;
mod call;
mod discovery;
mod eso;
mod failure;
mod fault;
mod listener;
mod objects;
mod read;
mod requests;
mod stored;
#[cfg(test)]
mod tests;
mod watch;
mod write;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use eso_relay::command::clock;
use serde_json::json;

use self::listener::Listener;
pub use self::{
    call::Verb,
    eso::{Eso, EsoBuilder, SecretValues, synced_resource_version},
    fault::{Effect, FaultId, Faults, On, Times},
    requests::{PatchSeen, Requests},
};
use crate::{
    cluster::{Fixture, Kind},
    lock,
};

/// A Kubernetes API server in this process, over plain HTTP on a port of its own; gone when dropped.
///
/// It serves namespaces, secrets, events, ESO's kinds and workloads: create, get, list, watch, merge patch and
/// delete. It validates no schema, knows no selectors, and leaves what is in a deleted namespace.
pub struct StandIn {
    shared: Arc<Shared>,
    listener: Listener,
}

/// What the handlers share.
#[derive(Default)]
struct Shared {
    objects: objects::Objects,
    faults: Faults,
    requests: Requests,
    serving: Mutex<Serving>,
}

/// What discovery shows and paths accept.
#[derive(Debug, Clone, Copy, Default)]
struct Serving {
    eso: Served,
    rollouts: bool,
    kes: bool,
}

impl Serving {
    /// `None` for a kind that is not served.
    fn version_of(self, kind: Kind) -> Option<&'static str> {
        match kind {
            Kind::PushSecret => Some(kind.version()),
            Kind::Rollout => self.rollouts.then(|| kind.version()),
            Kind::KesExternalSecret => self.kes.then(|| kind.version()),
            kind if kind.is_custom() => Some(self.eso.version()),
            kind => Some(kind.version()),
        }
    }
}

/// The version of ESO's group that discovery shows and paths accept; PushSecrets have one of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Served {
    #[default]
    V1,
    /// As clusters with an ESO before 0.16 have it.
    V1beta1,
}

impl Served {
    fn version(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1beta1 => "v1beta1",
        }
    }
}

impl StandIn {
    /// Starts an empty cluster, with the namespace `default`.
    ///
    /// # Errors
    /// When no local port can be had.
    pub async fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let listener = Listener::open(answer::routes(shared.clone())).await?;
        let stand_in = Self { shared, listener };
        stand_in.load([Fixture::namespace_named("default")]);
        Ok(stand_in)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    /// A client without hidden retries, so that every request counted is one that the caller made.
    pub fn client(&self) -> kube::Client {
        self.client_as("stand-in")
    }

    /// A client that carries this bearer token, for denials by token.
    pub fn client_as(&self, token: &str) -> kube::Client {
        let url = self.url().parse().expect("a socket address makes a URL"); // OK because it is formatted from one.
        let mut config = kube::Config::new(url);
        config.default_retry = false;
        config.auth_info.token = Some(token.to_owned().into());
        kube::Client::try_from(config).expect("plain HTTP needs no certificates") // OK because nothing else can fail.
    }

    /// Writes a kubeconfig into the directory and returns its path. Its user's token is `stand-in`.
    pub fn kubeconfig(&self, directory: &Path) -> std::io::Result<PathBuf> {
        self.kubeconfig_as(directory, "stand-in")
    }

    /// The same for a user whose token is his name: for denials by token.
    pub fn kubeconfig_as(&self, directory: &Path, user: &str) -> std::io::Result<PathBuf> {
        let path = directory.join(format!("kubeconfig-{}", user.replace(['/', ':'], "-")));
        // JSON is YAML too.
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "stand-in",
            "clusters": [{ "name": "stand-in", "cluster": { "server": self.url() } }],
            "users": [{ "name": "stand-in", "user": { "token": user } }],
            "contexts": [{
                "name": "stand-in",
                "context": { "cluster": "stand-in", "user": "stand-in" },
            }],
        });
        std::fs::write(&path, config.to_string())?;
        Ok(path)
    }

    /// Puts objects into memory, past the HTTP interface; namespaces are made as needed.
    pub fn load<F: Into<Fixture>>(&self, fixtures: impl IntoIterator<Item = F>) {
        let now = clock();
        for fixture in fixtures {
            write::load(&self.shared.objects, fixture.into(), now);
        }
    }

    /// Serves this version of ESO's group and no other, from the next request on.
    pub fn serve(&self, served: Served) {
        lock(&self.shared.serving).eso = served;
    }

    /// Serves Argo's Rollouts too, from the next request on.
    pub fn serve_rollouts(&self) {
        lock(&self.shared.serving).rollouts = true;
    }

    /// Serves the ExternalSecrets of kubernetes-external-secrets too, from the next request on.
    pub fn serve_kes(&self) {
        lock(&self.shared.serving).kes = true;
    }

    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    pub fn requests(&self) -> &Requests {
        &self.shared.requests
    }

    /// Every version seen so far is too old: open watches get an `ERROR` event with 410, new ones at an
    /// old version and old `continue` tokens are answered with 410.
    pub fn expire_watches(&self) {
        self.shared.objects.expire();
    }

    /// Ends every open watch, as a server does when it restarts.
    pub fn close_watches(&self) {
        self.shared.objects.close_watches();
    }

    /// Cuts every connection and refuses new ones. The port stays reserved.
    pub async fn go_away(&self) -> std::io::Result<()> {
        self.listener.go_away().await
    }

    /// Accepts connections again, on the same port, with all objects still there.
    pub async fn come_back(&self) -> std::io::Result<()> {
        self.listener.come_back().await
    }
}

impl Shared {
    fn serving(&self) -> Serving {
        *lock(&self.serving)
    }
}
