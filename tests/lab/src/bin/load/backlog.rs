//! Draining a backlog of messages with one event each, which mean nothing here or little ÷ raw pull
//! and ack of the same messages from a durable of the same configuration. And of events that each mean ten
//! objects and one that may not be patched ÷ the same without the eleventh.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use async_nats::jetstream::{Context as JetStream, consumer::PullConsumer};
use eso_relay::{
    Event,
    event::{Keys, Match, encode_batch},
    stream::{Stream, Subject},
};
use eso_relay_lab::{
    cluster::{Kind, store},
    daemon::Daemon,
    installation::{Hub, READY},
    standin::{On, StandIn, Verb},
    wait,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::sleep;

use super::{
    Scale,
    events::{NAMESPACE, STORE, event, key, name, object},
    memory::resident,
    progress,
    report::{Goal, Measure, Unit},
    rounds::{Rounds, alternate, rate},
};

/// Some of the events mean one of these, one in a hundred.
const OBJECTS: usize = 20;
const MEANT: usize = 100;
const BATCH: usize = 256;
/// The backlog is there before the durables are.
const FROM_THE_FIRST: [&str; 2] = ["--start", "oldest"];
const LOOK: Duration = Duration::from_millis(2);

/// Of the events that mean several objects; the last of them may not be patched.
const SEVERAL: usize = 11;

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let (messages, rounds) = (scale.pick(60_000, 10_000), scale.pick(5, 2));
    let few_match = (0..messages).map(|at| {
        let number = match at % MEANT {
            0 => at / MEANT % OBJECTS,
            _ => OBJECTS + at,
        };
        event(&format!("backlog-{at}"), number)
    });
    let backlog = Backlog::store(few_match).await?;
    let few = backlog.beside_raw("few", 0..OBJECTS, rounds).await?;
    let nothing = 2 * messages..2 * messages + OBJECTS;
    let none = backlog.beside_raw("none", nothing, rounds).await?;

    let messages = scale.pick(50_000, 5_000);
    let several = (0..messages).map(|at| {
        Ok(Event {
            matches: Match::Exact(Keys::new((0..SEVERAL).map(key).collect())?),
            ..event("several", at)?
        })
    });
    let backlog = Backlog::store(several).await?;
    let (refused, memory) = backlog.with_a_refused(scale.pick(3, 1)).await?;

    let measure =
        |what, rounds, goal| Measure::ratio(what, Unit::PerSecond, rounds, Goal::AtLeast(goal));
    Ok(vec![
        measure("backlog: nothing matches ÷ raw pull and ack", &none, 0.5),
        measure("backlog: 1 in 100 matches ÷ raw pull and ack", &few, 0.5),
        measure(
            "backlog: 10 objects and a refused one ÷ 10 objects",
            &refused,
            0.8,
        ),
        Measure::value(
            format!("backlog: consumer, after {messages} events with a refused object"),
            Unit::Mebibytes,
            memory,
            Goal::AtMost(64.0),
        ),
    ])
}

/// So many messages in the stream.
struct Backlog {
    hub: Hub,
    jetstream: JetStream,
    messages: usize,
}

impl Backlog {
    async fn store(events: impl Iterator<Item = anyhow::Result<Event>>) -> anyhow::Result<Self> {
        progress("backlog: storing it");
        let hub = Hub::start().await?;
        hub.init(&[]).await?;
        let jetstream = hub.jetstream().await?;
        let events = events.collect::<anyhow::Result<Vec<_>>>()?;
        stream::iter(events.iter().map(anyhow::Ok))
            .try_for_each_concurrent(BATCH, async |event| {
                let (subject, body) = (Subject::of(event).to_string(), encode_batch([event]));
                jetstream.publish(subject, body).await?.await?;
                Ok(())
            })
            .await?;
        Ok(Self {
            hub,
            jetstream,
            messages: events.len(),
        })
    }

    /// Each round with durables of its own, from the first message on.
    async fn beside_raw(
        &self,
        matching: &str,
        objects: Range<usize>,
        rounds: usize,
    ) -> anyhow::Result<Rounds> {
        let api = api_with(objects).await?;
        let (mut ours, mut raw) = (0, 0);
        alternate(
            &format!("backlog, {matching} match"),
            rounds,
            async || {
                ours += 1;
                let durable = format!("ours-{matching}-{ours}");
                Ok(self.drain(&api, &durable, self.messages).await?.0)
            },
            async || {
                raw += 1;
                let durable = format!("raw-{matching}-{raw}");
                self.hub.init_with(&FROM_THE_FIRST, &[&durable]).await?;
                let durable: PullConsumer = self
                    .jetstream
                    .get_consumer_from_stream(durable, Stream::Events.name())
                    .await?;
                by_hand(&durable, self.messages).await
            },
        )
        .await
    }

    /// With the object that is refused ÷ without it, and the most memory in MiB. Of the messages with it the
    /// newest is left in the end: it is parked.
    async fn with_a_refused(&self, rounds: usize) -> anyhow::Result<(Rounds, f64)> {
        let refusing = api_with(0..SEVERAL).await?;
        let last = name(SEVERAL - 1);
        let patches = On::verb(Verb::Patch, Kind::ExternalSecret).named(&last);
        refusing.faults().deny(patches);
        let good = api_with(0..SEVERAL - 1).await?;
        let (mut measured, mut most) = (Rounds::default(), 0.0_f64);
        for round in 1..=rounds {
            progress(&format!("backlog, a refused object: round {round}"));
            let durable = format!("refused-{round}");
            let (ours, memory) = self.drain(&refusing, &durable, self.messages - 1).await?;
            let durable = format!("good-{round}");
            let (floor, _) = self.drain(&good, &durable, self.messages).await?;
            measured.push(ours, floor);
            most = most.max(memory);
        }
        Ok((measured, most))
    }

    /// By a new consumer, until so many messages are acked: how many per second, and its most memory in MiB.
    async fn drain(
        &self,
        api: &StandIn,
        durable: &str,
        messages: usize,
    ) -> anyhow::Result<(f64, f64)> {
        self.hub.init_with(&FROM_THE_FIRST, &[durable]).await?;
        let dir = tempfile::tempdir()?;
        let url = self.hub.nats.url();
        let yaml = format!("cluster: {durable}\nnats: {{ url: '{url}' }}\n");
        let options = Daemon::consumer().config(yaml);
        let consumer = options.kubeconfig(&api.kubeconfig(dir.path())?);
        by_consumer(consumer.start().await?, messages).await
    }
}

async fn api_with(objects: Range<usize>) -> anyhow::Result<StandIn> {
    let api = StandIn::start().await?;
    api.load([store(STORE).in_namespace(NAMESPACE).akeyless()]);
    api.load(objects.map(object));
    Ok(api)
}

/// From the first ack that is seen to the last.
async fn by_consumer(mut consumer: Daemon, messages: usize) -> anyhow::Result<(f64, f64)> {
    let acked = async |consumer: &Daemon| {
        let metric = "eso_relay_consumer_deliveries_total";
        let count = consumer.count(metric, &[("outcome", "acked")]).await?;
        anyhow::Ok(usize::try_from(count)?)
    };
    let first = wait::until("the first ack", READY, async || {
        acked(&consumer).await.ok().filter(|count| *count > 0)
    });
    let first = first.await.with_context(|| consumer.logs())?;
    let started = Instant::now();
    loop {
        let count = acked(&consumer).await?;
        if count >= messages {
            break;
        }
        let logs = || format!("{count} acks; {}", consumer.logs());
        anyhow::ensure!(started.elapsed() < 5 * READY, logs());
        sleep(LOOK).await;
    }
    let took = started.elapsed();
    let memory = resident(&consumer, "VmHWM:")?;
    consumer.terminate()?;
    consumer.wait_exit(READY).await?;
    Ok((rate(messages - first, took), memory))
}

async fn by_hand(durable: &PullConsumer, messages: usize) -> anyhow::Result<f64> {
    let mut deliveries = durable
        .stream()
        .max_messages_per_batch(BATCH)
        .messages()
        .await?
        .take(messages);
    let mut started = None;
    while let Some(message) = deliveries.try_next().await? {
        started.get_or_insert_with(Instant::now);
        message
            .ack()
            .await
            .map_err(|error| anyhow::anyhow!("an ack: {error}"))?;
    }
    let started = started.context("nothing was delivered")?;
    Ok(rate(messages, started.elapsed()))
}
