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
    cluster::Kind,
    daemon::Daemon,
    fleet::{changed, key, name},
    installation::{Hub, READY},
    standin::{On, StandIn, Verb},
    wait,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::sleep;

use super::{
    Scale, progress,
    report::{self, Measure, Rounds, Unit, rate},
    rig::{self, objects, resident},
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
        changed(&format!("backlog-{at}"), number)
    });
    let backlog = Backlog::store(few_match).await?;
    let few = backlog.beside_raw("few", 0..OBJECTS, rounds).await?;
    let nothing = 2 * messages..2 * messages + OBJECTS;
    let none = backlog.beside_raw("none", nothing, rounds).await?;

    let messages = scale.pick(50_000, 5_000);
    let several = (0..messages).map(|at| {
        Ok(Event {
            matches: Match::Exact(Keys::new((0..SEVERAL).map(key).collect())?),
            ..changed(&format!("several-{at}"), at)?
        })
    });
    let backlog = Backlog::store(several).await?;
    let (refused, memory) = backlog.with_a_refused(scale.pick(3, 1)).await?;

    let ratio = |what, rounds| Measure::ratio(what, Unit::PerSecond, rounds);
    let most = format!("backlog: consumer, after {messages} events with a refused object");
    Ok(vec![
        ratio("backlog: nothing matches ÷ raw pull and ack", &none).at_least(0.5),
        ratio("backlog: 1 in 100 matches ÷ raw pull and ack", &few).at_least(0.5),
        ratio(
            "backlog: 10 objects and a refused one ÷ 10 objects",
            &refused,
        )
        .at_least(0.8),
        Measure::value(most, Unit::Mebibytes, memory).at_most(64.0),
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
        numbers: Range<usize>,
        rounds: usize,
    ) -> anyhow::Result<Rounds> {
        let api = api_with(numbers).await?;
        let one = async |round: usize| {
            let durable = format!("ours-{matching}-{round}");
            let (ours, _) = self.drain(&api, &durable, self.messages).await?;
            let durable = format!("raw-{matching}-{round}");
            self.hub.init_with(&FROM_THE_FIRST, &[&durable]).await?;
            let events = Stream::Events.name();
            let durable = self.jetstream.get_consumer_from_stream(durable, events);
            Ok([(ours, by_hand(&durable.await?, self.messages).await?)])
        };
        let [rounds] = report::rounds(&format!("backlog, {matching} match"), rounds, one).await?;
        Ok(rounds)
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

    /// By a new consumer, from the first ack that is seen until so many messages are acked: how many per
    /// second, and its most memory in MiB.
    async fn drain(
        &self,
        api: &StandIn,
        durable: &str,
        messages: usize,
    ) -> anyhow::Result<(f64, f64)> {
        self.hub.init_with(&FROM_THE_FIRST, &[durable]).await?;
        let dir = tempfile::tempdir()?;
        let kubeconfig = api.kubeconfig(dir.path())?;
        let consumer = rig::start_consumer(&self.hub, durable, kubeconfig, "").await?;
        let some = async || acked(&consumer).await.ok().filter(|count| *count > 0);
        let first = wait::until("the first ack", READY, some).await;
        let first = first.with_context(|| consumer.logs())?;
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
        rig::stop(consumer).await?;
        Ok((rate(messages - first, took), memory))
    }
}

async fn acked(consumer: &Daemon) -> anyhow::Result<usize> {
    let metric = "eso_relay_consumer_deliveries_total";
    let count = consumer.count(metric, &[("outcome", "acked")]).await?;
    Ok(usize::try_from(count)?)
}

async fn api_with(numbers: Range<usize>) -> anyhow::Result<StandIn> {
    let api = StandIn::start().await?;
    api.load(objects(numbers));
    Ok(api)
}

async fn by_hand(durable: &PullConsumer, messages: usize) -> anyhow::Result<f64> {
    let deliveries = durable.stream().max_messages_per_batch(BATCH).messages();
    let mut deliveries = deliveries.await?.take(messages);
    let mut started = None;
    while let Some(message) = deliveries.try_next().await? {
        started.get_or_insert_with(Instant::now);
        let acked = message.ack().await;
        acked.map_err(|error| anyhow::anyhow!("an ack: {error}"))?;
    }
    let started = started.context("nothing was delivered")?;
    Ok(rate(messages, started.elapsed()))
}
