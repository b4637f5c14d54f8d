//! Draining a backlog of messages with one event each, which mean nothing here or little ÷ raw pull
//! and ack of the same messages from a durable of the same configuration.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_nats::jetstream::{Context as JetStream, consumer::PullConsumer};
use bytes::Bytes;
use eso_relay::{
    event::encode_batch,
    stream::{Stream, Subject},
};
use eso_relay_lab::{
    cluster::store,
    daemon::Daemon,
    installation::{Hub, READY},
    standin::StandIn,
    wait,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::sleep;

use super::{
    Scale,
    events::{NAMESPACE, STORE, event, object},
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

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let hub = Hub::start().await?;
    let jetstream = hub.jetstream().await?;
    let (messages, rounds) = (scale.pick(60_000, 10_000), scale.pick(5, 2));
    hub.init(&[]).await?;
    progress(&format!("backlog: storing {messages} messages"));
    store_backlog(&jetstream, messages).await?;
    let few = drain(&hub, &jetstream, "few", messages, rounds).await?;
    let none = drain(&hub, &jetstream, "none", messages, rounds).await?;
    let measure = |what, rounds| Measure::ratio(what, Unit::PerSecond, rounds, Goal::AtLeast(0.5));
    Ok(vec![
        measure("backlog: nothing matches ÷ raw pull and ack", &none),
        measure("backlog: 1 in 100 matches ÷ raw pull and ack", &few),
    ])
}

/// Every hundredth event is about one of the objects, in turn.
async fn store_backlog(jetstream: &JetStream, messages: usize) -> anyhow::Result<()> {
    let bodies: Vec<(String, Bytes)> = (0..messages)
        .map(|at| {
            let number = match at % MEANT {
                0 => at / MEANT % OBJECTS,
                _ => OBJECTS + at,
            };
            let event = event(&format!("backlog-{at}"), number)?;
            Ok((Subject::of(&event).to_string(), encode_batch([&event])))
        })
        .collect::<anyhow::Result<_>>()?;
    stream::iter(bodies)
        .map(anyhow::Ok)
        .try_for_each_concurrent(BATCH, async |(subject, body)| {
            jetstream.publish(subject, body).await?.await?;
            Ok(())
        })
        .await
}

/// Each round with durables of its own, from the first message on.
async fn drain(
    hub: &Hub,
    jetstream: &JetStream,
    matching: &str,
    messages: usize,
    rounds: usize,
) -> anyhow::Result<Rounds> {
    let api = StandIn::start().await?;
    api.load([store(STORE).in_namespace(NAMESPACE).akeyless()]);
    let first = if matching == "few" { 0 } else { 2 * messages };
    api.load((first..first + OBJECTS).map(object));
    let dir = tempfile::tempdir()?;
    let kubeconfig = api.kubeconfig(dir.path())?;
    let (mut ours, mut raw) = (0, 0);
    alternate(
        &format!("backlog, {matching} match"),
        rounds,
        async || {
            ours += 1;
            let durable = format!("ours-{matching}-{ours}");
            hub.init_with(&FROM_THE_FIRST, &[&durable]).await?;
            let yaml = format!(
                "cluster: {durable}\nnats: {{ url: '{}' }}\n",
                hub.nats.url()
            );
            let options = Daemon::consumer().config(yaml).kubeconfig(&kubeconfig);
            by_consumer(options.start().await?, messages).await
        },
        async || {
            raw += 1;
            let durable = format!("raw-{matching}-{raw}");
            hub.init_with(&FROM_THE_FIRST, &[&durable]).await?;
            let durable: PullConsumer = jetstream
                .get_consumer_from_stream(durable, Stream::Events.name())
                .await?;
            by_hand(&durable, messages).await
        },
    )
    .await
}

/// From the first ack that is seen to the last.
async fn by_consumer(mut consumer: Daemon, messages: usize) -> anyhow::Result<f64> {
    let acked = async |consumer: &Daemon| -> anyhow::Result<usize> {
        let acked = ("outcome", "acked");
        let metric = "eso_relay_consumer_deliveries_total";
        let count = consumer.metric(metric, &[acked]).await?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of messages"
        )]
        Ok(count as usize)
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
        anyhow::ensure!(
            started.elapsed() < 5 * READY,
            "{count} acks; {}",
            consumer.logs()
        );
        sleep(LOOK).await;
    }
    let took = started.elapsed();
    consumer.terminate()?;
    consumer.wait_exit(READY).await?;
    Ok(rate(messages - first, took))
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
