//! The processes: an ingress, one nats-server or three, two clusters with two consumers each.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use eso_relay_lab::{
    cluster::{Fixture, external_secret, store},
    daemon::Daemon,
    installation::{Cluster, Hub, READY, Webhooks},
    nats_server::NatsServer,
    process::Process,
};

use super::{
    campaign::Orders,
    load::{self, NAMESPACE, STORE},
    plan::{Change, Fault, Hit, Target},
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
    pub(crate) webhooks: Webhooks,
    daemons: Vec<(Target, Daemon)>,
}

impl Stage {
    /// Starts everything and waits until it is ready.
    pub(crate) async fn set(orders: Orders) -> anyhow::Result<Self> {
        let mut options = NatsServer::builder().sync_always();
        if orders.small_disks {
            // So that the disk is full before the server's own bound is reached.
            options = options.small_disk(DISK).max_file_store("8GB");
        }
        let mut servers = match orders.servers {
            1 => vec![options.start().await?],
            _ => options.start_three().await?,
        };
        let hub = Hub::on(servers.remove(0), servers)?;
        let replicas = orders.servers.to_string();
        // A long campaign does not fill the small disks: what is older has been checked.
        let arguments = ["--replicas", &replicas, "--max-age", "15m"];
        hub.init_with(&arguments, &CLUSTERS).await?;

        let ingress = hub.ingress().start().await?;
        let webhooks = Webhooks::to(&ingress.url());
        let mut daemons = vec![(Target::Ingress, ingress)];
        let mut clusters = Vec::new();
        for (at, name) in CLUSTERS.into_iter().enumerate() {
            let cluster = Cluster::stand_in(name).await?;
            let api = cluster.as_stand_in().context("it is a stand-in")?;
            api.load(fixtures());
            for replica in 0..REPLICAS {
                let target = Target::Consumer {
                    cluster: at,
                    replica,
                };
                daemons.push((target, cluster.consumer(&hub, "").start().await?));
            }
            clusters.push(cluster);
        }
        for (_, daemon) in &mut daemons {
            daemon.wait_ready(READY).await?;
        }
        Ok(Self {
            hub,
            clusters: Arc::new(clusters),
            webhooks,
            daemons,
        })
    }

    /// Begins or ends a fault; after its end the process answers again.
    pub(crate) async fn apply(&mut self, hit: Hit, change: Change) -> anyhow::Result<()> {
        if let Target::Nats(at) = hit.target {
            let mut servers = self.hub.servers_mut();
            let server = servers.nth(at).context("no such server")?;
            match (hit.fault, change) {
                (Fault::DiskFull, Change::Begins) => server.fill_disk(),
                // A 2.15 that could not write takes no more writes until it is started again.
                (Fault::DiskFull, Change::Ends) => {
                    server.free_disk()?;
                    server.kill9()?;
                    server.start_again().await
                }
                (Fault::Kill, Change::Ends) => server.start_again().await,
                _ => signal(server, hit, change),
            }
        } else {
            let mut daemons = self.daemons.iter_mut();
            let found = daemons.find(|(target, _)| *target == hit.target);
            let (_, daemon) = found.context("no such daemon")?;
            match (hit.fault, change) {
                (Fault::DiskFull, _) => anyhow::bail!("the daemons write no files"),
                (Fault::Kill, Change::Ends) => daemon.start_again().await,
                _ => signal(daemon, hit, change),
            }
        }
    }

    /// Whether all daemons say that they are ready, and all servers that they are healthy.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        for (at, server) in self.hub.servers().enumerate() {
            let name = Target::Nats(at);
            server.healthz().await.with_context(|| format!("{name}"))?;
        }
        for (target, daemon) in &self.daemons {
            let (status, said) = daemon.readyz().await.with_context(|| target.to_string())?;
            anyhow::ensure!(status.is_success(), "{target} is not ready: {said}");
        }
        Ok(())
    }

    /// Copies every log into `dir`.
    pub(crate) fn keep_logs(&self, dir: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(dir).with_context(|| format!("{}", dir.display()))?;
        let servers = self.hub.servers().enumerate();
        let servers = servers.map(|(at, it)| (Target::Nats(at), it.log_path()));
        let daemons = self
            .daemons
            .iter()
            .map(|(target, it)| (*target, it.log_path()));
        for (target, log) in servers.chain(daemons) {
            std::fs::copy(log, dir.join(format!("{target}.log")))?;
        }
        Ok(())
    }
}

fn signal(process: &mut Process, hit: Hit, change: Change) -> anyhow::Result<()> {
    match (hit.fault, change) {
        (Fault::Hang, Change::Begins) => process.pause(),
        (Fault::Hang, Change::Ends) => process.resume(),
        (Fault::Kill | Fault::DiskFull, _) => process.kill9(),
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
