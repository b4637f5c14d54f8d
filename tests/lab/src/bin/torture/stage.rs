//! The processes: an ingress, one nats-server or three, two clusters with two consumers each.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use eso_relay_lab::{
    cluster::{Fixture, external_secret, store},
    daemon::Daemon,
    installation::{Cluster, Hub, READY, Webhooks},
    nats_server::NatsServer,
};

use super::{
    load::{self, NAMESPACE, STORE},
    plan::{Change, Fault, Step, Target},
};

pub(crate) const CLUSTERS: [&str; 2] = ["east", "west"];
/// Consumers of each cluster.
pub(crate) const REPLICAS: usize = 2;
/// Of each server, where it has one of its own. What the streams keep, and the servers' logs of
/// raft, stay far below.
const DISK: &str = "128m";

pub(crate) struct Stage {
    pub(crate) hub: Hub,
    pub(crate) clusters: Arc<Vec<Cluster>>,
    ingress: Daemon,
    consumers: Vec<Vec<Daemon>>,
}

/// The replicas of each stream, and so the nats-servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    R1,
    R3,
}

impl Streams {
    pub(crate) fn servers(self) -> usize {
        match self {
            Self::R1 => 1,
            Self::R3 => 3,
        }
    }
}

impl Stage {
    /// Starts everything and waits until it is ready.
    pub(crate) async fn set(streams: Streams, small_disks: bool) -> anyhow::Result<Self> {
        let mut options = NatsServer::builder().sync_always();
        if small_disks {
            // So that the disk is full before the server's own bound is reached.
            options = options.small_disk(DISK).max_file_store("8GB");
        }
        let mut servers = match streams {
            Streams::R1 => vec![options.start().await?],
            Streams::R3 => options.start_three().await?,
        };
        let hub = Hub::on(servers.remove(0), servers)?;
        let replicas = streams.servers().to_string();
        // A long campaign does not fill the small disks: what is older has been checked.
        let arguments = ["--replicas", &replicas, "--max-age", "15m"];
        hub.init_with(&arguments, &CLUSTERS).await?;

        let mut clusters = Vec::new();
        let mut consumers = Vec::new();
        for name in CLUSTERS {
            let cluster = Cluster::stand_in(name).await?;
            let api = cluster.as_stand_in().context("it is a stand-in")?;
            api.load(fixtures());
            let mut replicas = Vec::new();
            for _ in 0..REPLICAS {
                let mut consumer = cluster.consumer(&hub, "").start().await?;
                consumer.wait_ready(READY).await?;
                replicas.push(consumer);
            }
            clusters.push(cluster);
            consumers.push(replicas);
        }
        let mut ingress = hub.ingress().start().await?;
        ingress.wait_ready(READY).await?;
        Ok(Self {
            hub,
            clusters: Arc::new(clusters),
            ingress,
            consumers,
        })
    }

    pub(crate) fn webhooks(&self) -> Webhooks {
        Webhooks::to(&self.ingress.url())
    }

    /// Begins or ends a fault; after its end the process answers again.
    pub(crate) async fn apply(&mut self, step: &Step) -> anyhow::Result<()> {
        match step.target {
            Target::Nats(at) => {
                let mut servers = self.hub.servers_mut();
                let server = servers.nth(at).context("no such server")?;
                to_server(server, step).await
            }
            Target::Ingress => to_daemon(&mut self.ingress, step).await,
            Target::Consumer { cluster, replica } => {
                to_daemon(&mut self.consumers[cluster][replica], step).await
            }
        }
    }

    /// Whether all daemons say that they are ready, and all servers that they are healthy.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        for (at, server) in self.hub.servers().enumerate() {
            let name = Target::Nats(at);
            server.healthz().await.with_context(|| format!("{name}"))?;
        }
        for (name, daemon) in self.daemons() {
            let (status, said) = daemon.readyz().await.with_context(|| name.clone())?;
            anyhow::ensure!(status.is_success(), "{name} is not ready: {said}");
        }
        Ok(())
    }

    /// Copies every log into `dir`.
    pub(crate) fn keep_logs(&self, dir: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(dir).with_context(|| format!("{}", dir.display()))?;
        let servers = self.hub.servers().enumerate();
        let servers = servers.map(|(at, it)| (Target::Nats(at).to_string(), it.log_path()));
        let daemons = self.daemons().map(|(name, it)| (name, it.log_path()));
        for (name, log) in servers.chain(daemons) {
            std::fs::copy(log, dir.join(format!("{name}.log")))?;
        }
        Ok(())
    }

    fn daemons(&self) -> impl Iterator<Item = (String, &Daemon)> {
        let consumers = self.consumers.iter().enumerate();
        let consumers = consumers.flat_map(|(cluster, replicas)| {
            let replicas = replicas.iter().enumerate();
            replicas.map(move |(replica, it)| (Target::Consumer { cluster, replica }, it))
        });
        let all = std::iter::once((Target::Ingress, &self.ingress)).chain(consumers);
        all.map(|(target, it)| (target.to_string(), it))
    }
}

async fn to_server(server: &mut NatsServer, step: &Step) -> anyhow::Result<()> {
    match (step.fault, step.change) {
        (Fault::Kill, Change::Begins) => server.kill9(),
        (Fault::Kill, Change::Ends) => server.start_again().await,
        (Fault::Hang, Change::Begins) => server.pause(),
        (Fault::Hang, Change::Ends) => server.resume(),
        (Fault::DiskFull, Change::Begins) => server.fill_disk(),
        // A 2.15 that could not write takes no more writes until it is started again.
        (Fault::DiskFull, Change::Ends) => {
            server.free_disk()?;
            server.kill9()?;
            server.start_again().await
        }
    }
}

async fn to_daemon(daemon: &mut Daemon, step: &Step) -> anyhow::Result<()> {
    match (step.fault, step.change) {
        (Fault::Kill, Change::Begins) => daemon.kill9(),
        (Fault::Kill, Change::Ends) => daemon.start_again().await,
        (Fault::Hang, Change::Begins) => daemon.pause(),
        (Fault::Hang, Change::Ends) => daemon.resume(),
        (Fault::DiskFull, _) => anyhow::bail!("the daemons write no files"),
    }
}

fn fixtures() -> Vec<Fixture> {
    let stores = [store(STORE).in_namespace(NAMESPACE).into()];
    let secrets = load::all().flat_map(|key| {
        key.readers().map(move |reader| {
            let it = external_secret(&reader).in_namespace(NAMESPACE);
            it.from_store(STORE).key(&key.name()).synced().into()
        })
    });
    stores.into_iter().chain(secrets).collect()
}
