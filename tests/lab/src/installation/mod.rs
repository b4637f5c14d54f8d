//! A whole installation on this machine, out of real processes: what the suite, the demo and the
//! load tool run on.
//!
//! ```text
//! Webhooks ──▶ ingress ──▶ Hub (nats-server) ──▶ consumers of each Cluster ──▶ its Kubernetes API ◀── its ESO
//! ```

mod cluster;
mod hub;
mod webhook;

use std::time::Duration;

pub use self::{
    cluster::{Cluster, KubernetesKind},
    hub::{CliOutput, Hub},
    webhook::{
        Answer, BASIC_PASSWORD, BASIC_USER, BEARER_TOKEN, HMAC_SECRET, Webhooks, akeyless, send,
        sign,
    },
};
use crate::daemon::Daemon;

/// How long anything here may take to become ready: generous, because a loaded CI machine is slow.
pub const READY: Duration = Duration::from_secs(60);

/// A hub, an ingress that takes every kind of webhook, and clusters with a consumer each.
pub struct Installation {
    pub hub: Hub,
    pub ingress: Daemon,
    pub clusters: Vec<Cluster>,
    /// One for each cluster, in the same order.
    pub consumers: Vec<Daemon>,
}

impl Installation {
    /// Starts all of it and waits until all of it is ready.
    pub async fn start(clusters: Vec<Cluster>) -> anyhow::Result<Self> {
        let hub = Hub::start().await?;
        let names: Vec<&str> = clusters.iter().map(Cluster::name).collect();
        hub.init(&names).await?;
        let mut ingress = hub.ingress().start().await?;
        let mut consumers = Vec::new();
        for cluster in &clusters {
            let mut consumer = cluster.consumer(&hub, "").start().await?;
            consumer.wait_ready(READY).await?;
            consumers.push(consumer);
        }
        ingress.wait_ready(READY).await?;
        Ok(Self {
            hub,
            ingress,
            clusters,
            consumers,
        })
    }

    /// Sends webhooks to the ingress.
    pub fn webhooks(&self) -> Webhooks {
        Webhooks::to(&self.ingress.url())
    }
}
