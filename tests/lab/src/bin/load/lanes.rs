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
    standin::{Eso, SecretValues},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::sleep;

use super::{
    Scale, progress,
    report::{Measure, Rounds, Unit, median, milliseconds, rate},
    rig::Rig,
};

const SYNC: Duration = Duration::from_millis(100);
const MASS: usize = 5000;
/// In a namespace of their own.
const URGENT: usize = 50;
/// Before each sample, and not in step with ESO.
const PAUSE: Duration = Duration::from_millis(270);
const LOOK: Duration = Duration::from_millis(1);
/// An ESO that has said nothing for so long will not.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let mut measures = Vec::new();
    for (workers, syncs) in scale.pick([(1, 300), (10, 2000)], [(1, 40), (10, 400)]) {
        measures.extend(beside(scale, workers, syncs).await?);
    }
    Ok(measures)
}

async fn beside(scale: Scale, workers: usize, syncs: u64) -> anyhow::Result<Vec<Measure>> {
    let what = format!("lanes: {workers} × 100 ms");
    let (mut throughput, mut latency) = (Rounds::default(), Rounds::default());
    for round in 1..=scale.pick(3, 1) {
        progress(&format!("{what}: round {round}, in two lanes"));
        let flow = Flow::start(workers).await?;
        let mut alone = Vec::new();
        for sample in 0..scale.pick(10, 3) {
            alone.push(flow.urgent(sample).await?);
        }
        let (started, before) = (Instant::now(), flow.eso.total_syncs());
        flow.publish(&fleet::scope_changed("mass", MASS)?).await?;
        flow.until(before + syncs).await?;
        let in_lanes = started.elapsed();
        for sample in 0..scale.pick(20, 5) {
            latency.push(flow.urgent(URGENT - 1 - sample).await?, median(&alone));
        }
        drop(flow);
        progress(&format!("{what}: round {round}, all at once"));
        let flow = Flow::start(workers).await?;
        flow.patch_all("at-once").await?;
        let (started, before) = (Instant::now(), flow.eso.total_syncs());
        flow.until(before + syncs).await?;
        let count = usize::try_from(syncs)?;
        throughput.push(rate(count, in_lanes), rate(count, started.elapsed()));
    }
    let slowest = Rounds {
        ours: vec![latency.ours.iter().copied().fold(0.0, f64::max)],
        floor: vec![median(&latency.floor)],
    };
    let in_lanes = format!("{what}: {MASS} in lanes ÷ at once");
    let amid = |how, rounds| {
        let what = format!("{what}, amid {MASS}{how} ÷ alone");
        Measure::ratio(what, Unit::Milliseconds, rounds).at_most(10.0)
    };
    Ok(vec![
        Measure::ratio(in_lanes, Unit::PerSecond, &throughput).at_least(0.9),
        amid("", &latency),
        amid(", slowest", &slowest),
    ])
}

struct Flow {
    eso: Eso,
    consumer: Daemon,
    client: kube::Client,
    jetstream: JetStream,
    _rig: Rig,
}

impl Flow {
    /// All objects are synced, and everybody waits.
    async fn start(workers: usize) -> anyhow::Result<Self> {
        let fleet = Fleet(MASS + fleet::PER_NAMESPACE);
        let values = SecretValues::default();
        for number in 0..fleet.0 {
            values.set(&fleet::key(number), "value");
            values.set(&fleet::certificate(number), "value");
        }
        let rig = Rig::start(fleet.fixtures()).await?;
        let consumer = rig.consumer().await?;
        let client = rig.api.client();
        let eso = Eso::builder().workers(workers).delay(SYNC);
        let flow = Self {
            eso: eso.without_secrets().start(&client, &values),
            consumer,
            client,
            jetstream: rig.hub.jetstream().await?,
            _rig: rig,
        };
        // An ESO that answers has listed everything.
        flow.patch(fleet.0 - 1, "ready").await?;
        flow.until(1).await?;
        Ok(flow)
    }

    /// Until it is stored.
    async fn publish(&self, event: &Event) -> anyhow::Result<()> {
        let (subject, body) = (Subject::of(event).to_string(), encode_batch([event]));
        self.jetstream.publish(subject, body).await?.await?;
        Ok(())
    }

    /// The mass at once, without any pace.
    async fn patch_all(&self, value: &str) -> anyhow::Result<()> {
        stream::iter(0..MASS)
            .map(anyhow::Ok)
            .try_for_each_concurrent(32, |number| self.patch(number, value))
            .await
    }

    async fn patch(&self, number: usize, value: &str) -> anyhow::Result<()> {
        let (namespace, name) = (fleet::namespace(number), fleet::name(number));
        Ok(annotate(&self.client, &namespace, &name, value).await?)
    }

    /// From the publication of an event about one object, besides the mass, until ESO has synced it, in
    /// milliseconds.
    async fn urgent(&self, number: usize) -> anyhow::Result<f64> {
        sleep(PAUSE).await;
        let event = fleet::changed(&format!("urgent-{number}"), MASS + number)?;
        let (namespace, name) = (fleet::namespace(MASS + number), fleet::name(MASS + number));
        let before = self.eso.syncs(&namespace, &name);
        let started = Instant::now();
        self.publish(&event).await?;
        while self.eso.syncs(&namespace, &name) == before {
            ensure!(started.elapsed() < PATIENCE, "{}", self.consumer.logs());
            sleep(LOOK).await;
        }
        Ok(milliseconds(started.elapsed()))
    }

    /// Waits until there have been so many syncs in all.
    async fn until(&self, syncs: u64) -> anyhow::Result<()> {
        let (mut seen, mut at) = (0, Instant::now());
        while seen < syncs {
            let now = self.eso.total_syncs();
            if now > seen {
                (seen, at) = (now, Instant::now());
            }
            ensure!(at.elapsed() < PATIENCE, "{}", self.consumer.logs());
            sleep(LOOK).await;
        }
        Ok(())
    }
}
