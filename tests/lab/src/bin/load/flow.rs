//! A cluster with an ESO of so many workers, and a consumer that refreshes it: what the lines about mass
//! work share.

use std::time::{Duration, Instant};

use anyhow::ensure;
use async_nats::jetstream::Context as JetStream;
use eso_relay::{Event, event::encode_batch, stream::Subject};
use eso_relay_lab::{
    cluster::annotate,
    daemon::Daemon,
    fleet::{self, Fleet},
    installation::{Hub, READY},
    standin::{Eso, SecretValues, StandIn},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tempfile::TempDir;
use tokio::time::sleep;

use super::burst;

const LOOK: Duration = Duration::from_millis(1);
/// An ESO that has said nothing for so long will not.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Flow {
    eso: Eso,
    consumer: Daemon,
    client: kube::Client,
    jetstream: JetStream,
    _api: StandIn,
    _hub: Hub,
    _dir: TempDir,
}

/// A moment, and how many syncs there had been.
pub(crate) struct Since {
    started: Instant,
    syncs: u64,
}

impl Flow {
    /// All objects are synced, and everybody waits.
    pub(crate) async fn start(
        fleet: Fleet,
        workers: usize,
        sync: Duration,
    ) -> anyhow::Result<Self> {
        let api = StandIn::start().await?;
        api.load(fleet.fixtures());
        let values = SecretValues::default();
        for number in 0..fleet.0 {
            values.set(&fleet::key(number), "value");
            values.set(&fleet::certificate(number), "value");
        }
        let hub = Hub::start().await?;
        hub.init(&["load"]).await?;
        let dir = tempfile::tempdir()?;
        let mut consumer = burst::consumer(&hub, &api.kubeconfig(dir.path())?)
            .start()
            .await?;
        consumer.wait_ready(READY).await?;
        let eso = Eso::builder().workers(workers).delay(sync);
        let flow = Self {
            eso: eso.without_secrets().start(&api.client(), &values),
            consumer,
            client: api.client(),
            jetstream: hub.jetstream().await?,
            _api: api,
            _hub: hub,
            _dir: dir,
        };
        // An ESO that answers has listed everything.
        let last = fleet.0 - 1;
        flow.patch(last, "ready").await?;
        flow.synced(last, 1).await?;
        Ok(flow)
    }

    /// Until it is stored.
    pub(crate) async fn publish(&self, event: &Event) -> anyhow::Result<()> {
        let (subject, body) = (Subject::of(event).to_string(), encode_batch([event]));
        self.jetstream.publish(subject, body).await?.await?;
        Ok(())
    }

    /// The first so many objects at once, without any pace.
    pub(crate) async fn patch_all(&self, objects: usize, value: &str) -> anyhow::Result<()> {
        stream::iter(0..objects)
            .map(anyhow::Ok)
            .try_for_each_concurrent(32, |number| self.patch(number, value))
            .await
    }

    async fn patch(&self, number: usize, value: &str) -> anyhow::Result<()> {
        let (namespace, name) = (fleet::namespace(number), fleet::name(number));
        annotate(&self.client, &namespace, &name, value).await?;
        Ok(())
    }

    /// Waits until ESO has synced the object so often.
    async fn synced(&self, number: usize, syncs: u64) -> anyhow::Result<()> {
        let (namespace, name) = (fleet::namespace(number), fleet::name(number));
        let started = Instant::now();
        while self.eso.syncs(&namespace, &name) < syncs {
            ensure!(started.elapsed() < PATIENCE, "{}", self.consumer.logs());
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// From the publication of an event about one object until ESO has synced it.
    pub(crate) async fn urgent(&self, id: &str, number: usize) -> anyhow::Result<Duration> {
        let (namespace, name) = (fleet::namespace(number), fleet::name(number));
        let before = self.eso.syncs(&namespace, &name);
        let event = fleet::changed(id, number)?;
        let started = Instant::now();
        self.publish(&event).await?;
        self.synced(number, before + 1).await?;
        Ok(started.elapsed())
    }

    pub(crate) fn now(&self) -> Since {
        Since {
            started: Instant::now(),
            syncs: self.eso.total_syncs(),
        }
    }

    /// Waits until there have been so many syncs since, and says how long that took.
    pub(crate) async fn until(&self, since: &Since, syncs: usize) -> anyhow::Result<Duration> {
        let (mut seen, mut at) = (since.syncs, since.started);
        let end = seen + u64::try_from(syncs)?;
        while seen < end {
            let now = self.eso.total_syncs();
            if now > seen {
                (seen, at) = (now, Instant::now());
            }
            ensure!(at.elapsed() < PATIENCE, "{}", self.consumer.logs());
            sleep(LOOK).await;
        }
        Ok(since.started.elapsed())
    }
}
