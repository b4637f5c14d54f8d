//! One Kubernetes cluster: an API, a stand-in ESO at work on it, and consumers.

use std::path::{Path, PathBuf};

use kube::Client;
use tempfile::TempDir;

use super::{Hub, READY};
use crate::{
    cluster::annotation,
    daemon::{Daemon, DaemonOptions},
    kubernetes_api::KubernetesApi,
    standin::{Eso, SecretValues, StandIn},
    wait,
};

/// Which Kubernetes API a cluster has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum KubernetesKind {
    /// A small API of our own, which starts at once: for faults, scale and first runs
    #[default]
    StandIn,
    /// The upstream kube-apiserver: built once, which takes ten minutes
    Real,
}

impl KubernetesKind {
    /// What `ESO_RELAY_KUBERNETES` says: `real`, or the stand-in.
    pub fn of_environment() -> Self {
        match std::env::var("ESO_RELAY_KUBERNETES").as_deref() {
            Ok("real") => Self::Real,
            _ => Self::StandIn,
        }
    }
}

/// A cluster with an ESO that syncs at once.
pub struct Cluster {
    name: String,
    api: Api,
    client: Client,
    kubeconfig: PathBuf,
    pub eso: Eso,
    /// What the cluster's stores hold, by key.
    pub values: SecretValues,
    dir: TempDir,
}

enum Api {
    StandIn(StandIn),
    Real(Box<KubernetesApi>),
}

impl Cluster {
    /// On the API that the environment asks for: for a case that makes sense on both.
    pub async fn start(name: &str) -> anyhow::Result<Self> {
        Self::of_kind(name, KubernetesKind::of_environment()).await
    }

    /// On the stand-in, whatever the environment asks for: for faults and for scale.
    pub async fn stand_in(name: &str) -> anyhow::Result<Self> {
        Self::of_kind(name, KubernetesKind::StandIn).await
    }

    pub async fn of_kind(name: &str, kind: KubernetesKind) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("eso-relay-cluster-")
            .tempdir()?;
        let (api, client, kubeconfig) = match kind {
            KubernetesKind::StandIn => {
                let api = StandIn::start().await?;
                let (client, kubeconfig) = (api.client(), api.kubeconfig(dir.path())?);
                (Api::StandIn(api), client, kubeconfig)
            }
            KubernetesKind::Real => {
                let api = KubernetesApi::start().await?;
                let (client, kubeconfig) = (api.client(), api.kubeconfig());
                (Api::Real(Box::new(api)), client, kubeconfig)
            }
        };
        let values = SecretValues::default();
        let eso = Eso::builder().start(&client, &values);
        Ok(Self {
            name: name.to_owned(),
            api,
            client,
            kubeconfig,
            eso,
            values,
            dir,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// With all rights.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The kubeconfig of a user who may do no more than the roles bound to him allow, such as
    /// `system:serviceaccount:NAMESPACE:NAME`; on the stand-in, all that is not denied to the token
    /// of that name.
    pub fn kubeconfig_as(&self, user: &str) -> anyhow::Result<PathBuf> {
        match &self.api {
            Api::StandIn(api) => Ok(api.kubeconfig_as(self.dir.path(), user)?),
            Api::Real(api) => api.kubeconfig_as(user),
        }
    }

    /// Takes the API away: connections break and new ones are refused. Its objects stay.
    pub async fn go_away(&mut self) -> anyhow::Result<()> {
        match &mut self.api {
            Api::StandIn(api) => Ok(api.go_away().await?),
            Api::Real(api) => api.kill9(),
        }
    }

    /// After [`Cluster::go_away`]: on the same port, with the same objects.
    pub async fn come_back(&mut self) -> anyhow::Result<()> {
        match &mut self.api {
            Api::StandIn(api) => Ok(api.come_back().await?),
            Api::Real(api) => api.start_again().await,
        }
    }

    /// The stand-in's faults and counts; `None` on a real API.
    pub fn as_stand_in(&self) -> Option<&StandIn> {
        match &self.api {
            Api::StandIn(api) => Some(api),
            Api::Real(_) => None,
        }
    }

    pub fn as_real(&self) -> Option<&KubernetesApi> {
        match &self.api {
            Api::StandIn(_) => None,
            Api::Real(api) => Some(api),
        }
    }

    /// A consumer of this cluster, not started yet, with more YAML at the top level.
    pub fn consumer(&self, hub: &Hub, more: &str) -> DaemonOptions {
        let yaml = format!(
            "cluster: {}\nnats: {{ url: '{}' }}\n{more}",
            self.name,
            hub.url()
        );
        Daemon::consumer().config(yaml).kubeconfig(&self.kubeconfig)
    }

    /// What the ExternalSecret was refreshed for last.
    pub async fn refresh_of(&self, namespace: &str, name: &str) -> Option<String> {
        annotation(&self.client, namespace, name)
            .await
            .ok()
            .flatten()
    }

    /// Waits until it carries a refresh other than `before`, and says which.
    pub async fn refreshed(
        &self,
        namespace: &str,
        name: &str,
        before: Option<&str>,
    ) -> anyhow::Result<String> {
        let what = format!("a refresh of {namespace}/{name} in {}", self.name);
        wait::until(what, READY, || async {
            let value = self.refresh_of(namespace, name).await;
            value.filter(|value| Some(value.as_str()) != before)
        })
        .await
    }
}
