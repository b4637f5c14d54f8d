//! The two lanes beside an ESO of 1 and of 10 workers that take 100 ms for each sync, with 5,000 objects
//! to refresh: syncs per second ÷ those of an ESO that has all of them in its queue; and how long an exact
//! refresh takes amid them ÷ how long it takes alone.
//!
//! 10 workers would be at work for 50 s and 1 for 500: what is measured is the beginning.

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

use super::{
    Scale, burst,
    latency::milliseconds,
    progress,
    report::{Goal, Measure, Unit},
    rounds::{Rounds, median, rate},
};

const SYNC: Duration = Duration::from_millis(100);
const MASS: usize = 5000;
/// In a namespace of their own.
const URGENT: usize = 50;
/// Before each sample, and not in step with ESO.
const PAUSE: Duration = Duration::from_millis(270);

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let mut measures = Vec::new();
    for (workers, syncs) in scale.pick([(1, 300), (10, 2000)], [(1, 40), (10, 400)]) {
        measures.extend(beside(scale, workers, syncs).await?);
    }
    Ok(measures)
}

async fn beside(scale: Scale, workers: usize, syncs: usize) -> anyhow::Result<Vec<Measure>> {
    let what = format!("lanes: {workers} × 100 ms");
    let (mut throughput, mut latency) = (Rounds::default(), Rounds::default());
    for round in 1..=scale.pick(3, 1) {
        progress(&format!("{what}: round {round}, in two lanes"));
        let flow = start(workers).await?;
        let mut alone = Vec::new();
        for sample in 0..scale.pick(10, 3) {
            alone.push(urgent(&flow, sample).await?);
        }
        let since = flow.now();
        flow.publish(&fleet::scope_changed("mass", MASS)?).await?;
        let in_lanes = flow.until(&since, syncs).await?;
        throughput.ours.push(rate(syncs, in_lanes));
        for sample in 0..scale.pick(20, 5) {
            latency.ours.push(urgent(&flow, URGENT - 1 - sample).await?);
            latency.floor.push(median(&alone));
        }
        drop(flow);
        progress(&format!("{what}: round {round}, all at once"));
        let flow = start(workers).await?;
        flow.patch_all(MASS, "at-once").await?;
        let at_once = flow.until(&flow.now(), syncs).await?;
        throughput.floor.push(rate(syncs, at_once));
    }
    let slowest = Rounds {
        ours: vec![latency.ours.iter().copied().fold(0.0, f64::max)],
        floor: vec![median(&latency.floor)],
    };
    let amid = |how, rounds| {
        let what = format!("{what}, amid {MASS}{how} ÷ alone");
        Measure::ratio(what, Unit::Milliseconds, rounds, Goal::AtMost(10.0))
    };
    Ok(vec![
        Measure::ratio(
            format!("{what}: {MASS} in lanes ÷ at once"),
            Unit::PerSecond,
            &throughput,
            Goal::AtLeast(0.9),
        ),
        amid("", &latency),
        amid(", slowest", &slowest),
    ])
}

async fn start(workers: usize) -> anyhow::Result<Flow> {
    Flow::start(Fleet(MASS + fleet::PER_NAMESPACE), workers, SYNC).await
}

async fn urgent(flow: &Flow, number: usize) -> anyhow::Result<f64> {
    sleep(PAUSE).await;
    let id = format!("urgent-{number}");
    Ok(milliseconds(flow.urgent(&id, MASS + number).await?))
}

const LOOK: Duration = Duration::from_millis(1);
/// An ESO that has said nothing for so long will not.
const PATIENCE: Duration = Duration::from_secs(30);

struct Flow {
    eso: Eso,
    consumer: Daemon,
    client: kube::Client,
    jetstream: JetStream,
    _api: StandIn,
    _hub: Hub,
    _dir: TempDir,
}

/// A moment, and how many syncs there had been.
struct Since {
    started: Instant,
    syncs: u64,
}

impl Flow {
    /// All objects are synced, and everybody waits.
    async fn start(fleet: Fleet, workers: usize, sync: Duration) -> anyhow::Result<Self> {
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
    async fn publish(&self, event: &Event) -> anyhow::Result<()> {
        let (subject, body) = (Subject::of(event).to_string(), encode_batch([event]));
        self.jetstream.publish(subject, body).await?.await?;
        Ok(())
    }

    /// The first so many objects at once, without any pace.
    async fn patch_all(&self, objects: usize, value: &str) -> anyhow::Result<()> {
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
    async fn urgent(&self, id: &str, number: usize) -> anyhow::Result<Duration> {
        let (namespace, name) = (fleet::namespace(number), fleet::name(number));
        let before = self.eso.syncs(&namespace, &name);
        let event = fleet::changed(id, number)?;
        let started = Instant::now();
        self.publish(&event).await?;
        self.synced(number, before + 1).await?;
        Ok(started.elapsed())
    }

    fn now(&self) -> Since {
        Since {
            started: Instant::now(),
            syncs: self.eso.total_syncs(),
        }
    }

    /// Waits until there have been so many syncs since, and says how long that took.
    async fn until(&self, since: &Since, syncs: usize) -> anyhow::Result<Duration> {
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
