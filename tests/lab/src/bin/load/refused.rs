//! Events that mean ten objects and one more, which may not be patched: draining a backlog of them ÷
//! the same where nothing reads through the eleventh; and the most memory that it takes.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use eso_relay::{
    Event,
    event::{Keys, Match, encode_batch},
    stream::Subject,
};
use eso_relay_lab::{
    cluster::{Kind, store},
    daemon::Daemon,
    installation::{Hub, READY},
    standin::{Effect, On, StandIn, Times, Verb},
    wait,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::StatusCode;
use tokio::time::sleep;

use super::{
    Scale,
    events::{NAMESPACE, STORE, event, key, name, object},
    memory::peak,
    progress,
    report::{Goal, Measure, Unit},
    rounds::{Rounds, rate},
};

/// The last of them may not be patched.
const OBJECTS: usize = 11;
const AT_ONCE: usize = 256;
const LOOK: Duration = Duration::from_millis(2);

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let events = scale.pick(50_000, 5_000);
    let hub = Hub::start().await?;
    hub.init(&[]).await?;
    progress(&format!("refused: storing {events} events"));
    store_events(&hub, events).await?;
    let (mut rounds, mut most) = (Rounds::default(), 0.0_f64);
    for round in 1..=scale.pick(3, 1) {
        progress(&format!("refused: round {round}"));
        let (took, memory) = drain(&hub, &format!("refused-{round}"), OBJECTS, 1, events).await?;
        rounds.ours.push(rate(events, took));
        most = most.max(memory);
        let (took, _) = drain(&hub, &format!("good-{round}"), OBJECTS - 1, 0, events).await?;
        rounds.floor.push(rate(events, took));
    }
    let all = "events of 10 objects and a refused one";
    Ok(vec![
        Measure::ratio(
            format!("refused: {events} {all} ÷ of 10 objects"),
            Unit::PerSecond,
            &rounds,
            Goal::AtLeast(0.8),
        ),
        Measure::value(
            format!("refused: consumer, after {events} {all}"),
            Unit::Mebibytes,
            most,
            Goal::AtMost(64.0),
        ),
    ])
}

/// Each means all objects: the keys of an event are aliases.
async fn store_events(hub: &Hub, events: usize) -> anyhow::Result<()> {
    let jetstream = hub.jetstream().await?;
    stream::iter(0..events)
        .map(anyhow::Ok)
        .try_for_each_concurrent(AT_ONCE, async |at| {
            let event = Event {
                matches: Match::Exact(Keys::new((0..OBJECTS).map(key).collect())?),
                ..event("refused", at)?
            };
            let (subject, body) = (Subject::of(&event).to_string(), encode_batch([&event]));
            jetstream.publish(subject, body).await?.await?;
            Ok(())
        })
        .await
}

/// From the first ack that is seen until so many messages are left; and the peak of memory in MiB.
async fn drain(
    hub: &Hub,
    durable: &str,
    objects: usize,
    left: usize,
    events: usize,
) -> anyhow::Result<(Duration, f64)> {
    let api = StandIn::start().await?;
    api.load([store(STORE).in_namespace(NAMESPACE).akeyless()]);
    api.load((0..objects).map(object));
    let last = name(OBJECTS - 1);
    let patches = On::verb(Verb::Patch, Kind::ExternalSecret).named(&last);
    let forbidden = Effect::status(StatusCode::FORBIDDEN);
    api.faults().inject(patches, forbidden, Times::All);
    let dir = tempfile::tempdir()?;
    hub.init_with(&["--start", "oldest"], &[durable]).await?;
    let yaml = format!(
        "cluster: {durable}\nnats: {{ url: '{}' }}\n",
        hub.nats.url()
    );
    let options = Daemon::consumer().config(yaml);
    let consumer = options
        .kubeconfig(&api.kubeconfig(dir.path())?)
        .start()
        .await?;
    let first = wait::until("the first ack", READY, async || {
        acked(&consumer).await.ok().filter(|count| *count > 0)
    });
    first.await.with_context(|| consumer.logs())?;
    let started = Instant::now();
    while acked(&consumer).await? < (events - left) as u64 {
        anyhow::ensure!(started.elapsed() < 10 * READY, "{}", consumer.logs());
        sleep(LOOK).await;
    }
    Ok((started.elapsed(), peak(&consumer)?))
}

async fn acked(consumer: &Daemon) -> anyhow::Result<u64> {
    let metric = "eso_relay_consumer_deliveries_total";
    consumer.count(metric, &[("outcome", "acked")]).await
}
