//! From the webhook to the patch, at a low rate ÷ what cannot be avoided, measured alone and added:
//! a publish with its `PubAck`, the delivery of a message to a waiting client, and a patch.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_nats::{Client, Subject, Subscriber};
use bytes::Bytes;
use eso_relay::{event::encode_batch, stream};
use eso_relay_lab::{
    cluster::annotate,
    fleet::{self, name},
    installation::READY,
    standin::StandIn,
    wait,
};
use futures::StreamExt as _;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    Scale,
    floor::{self, RAW, RAW_SUBJECT},
    http::Connection,
    report::{Measure, Unit, milliseconds, quantile, rounds},
    rig::{self, NAMESPACE, Rig, objects, webhook},
};

const OBJECTS: usize = 1000;
/// The floor has an object of its own, which no event means.
const FLOORS: usize = OBJECTS;
/// Ten webhooks per second, and the floor in between.
const PERIOD: Duration = Duration::from_millis(100);
/// More rounds only make the quantiles surer; each round gives one of each.
const ROUNDS: usize = 3;

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let rig = Rig::start(objects(0..=OBJECTS)).await?;
    let (_ingress, address) = rig::ingress(&rig.hub, "").await?;
    let _consumer = rig.consumer().await?;
    let mut webhooks = Connection::open(address).await?;
    let mut floor = Floor::new(&rig).await?;
    let samples = scale.pick(150, 30);
    let mut pace = interval(PERIOD);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let one = async |round: usize| {
        let (mut ours, mut parts) = (Vec::new(), Vec::new());
        for sample in 0..samples {
            pace.tick().await;
            let number = (round * samples + sample) % OBJECTS;
            ours.push(one_webhook(&mut webhooks, &rig.api, round, number).await?);
            parts.push(floor.once(&format!("{round}-{sample}")).await?);
        }
        let typical = quantile(&parts, 0.5);
        Ok([
            (quantile(&ours, 0.5), typical),
            (quantile(&ours, 0.99), typical),
        ])
    };
    let [median, slow] = rounds("latency", ROUNDS, one).await?;
    let measure = |what, rounds| Measure::ratio(what, Unit::Milliseconds, rounds);
    Ok(vec![
        measure("latency: webhook → patch, p50 ÷ parts' p50", &median).at_most(1.5),
        measure("latency: webhook → patch, p99 ÷ parts' p50", &slow).at_most(4.0),
    ])
}

/// From before the request is written until the API has the patch, in milliseconds.
async fn one_webhook(
    webhooks: &mut Connection,
    api: &StandIn,
    round: usize,
    number: usize,
) -> anyhow::Result<f64> {
    let name = name(number);
    let before = api.requests().patches(NAMESPACE, &name).len();
    let webhook = webhook(&format!("latency-{round}"), number);
    let sent = Instant::now();
    webhooks.send(&webhook).await?;
    let patch = wait::until("the patch", READY, || {
        let patches = api.requests().patches(NAMESPACE, &name);
        std::future::ready(patches.get(before).cloned())
    });
    Ok(milliseconds(patch.await?.at.duration_since(sent)))
}

/// The parts, over connections that are open.
struct Floor {
    client: Client,
    jetstream: async_nats::jetstream::Context,
    inbox: Subject,
    deliveries: Subscriber,
    kube: kube::Client,
    message: Bytes,
}

impl Floor {
    async fn new(rig: &Rig) -> anyhow::Result<Self> {
        let client = async_nats::connect(rig.hub.nats.url()).await?;
        let jetstream = async_nats::jetstream::new(client.clone());
        floor::create_raw_stream(&jetstream).await?;
        let durable = stream::durable(&"raw".parse()?, stream::Start::Oldest);
        jetstream.create_consumer_on_stream(durable, RAW).await?;
        let inbox = Subject::from(client.new_inbox());
        Ok(Self {
            deliveries: client.subscribe(inbox.clone()).await?,
            inbox,
            client,
            jetstream,
            kube: rig.api.client(),
            message: encode_batch([&fleet::changed("raw", 0)?]),
        })
    }

    /// The three parts one after the other, added, in milliseconds.
    async fn once(&mut self, value: &str) -> anyhow::Result<f64> {
        let started = Instant::now();
        let sent = self.jetstream.publish(RAW_SUBJECT, self.message.clone());
        sent.await?.await?;
        // Asking for a message that is there takes one round trip, as its delivery does.
        let next = format!("$JS.API.CONSUMER.MSG.NEXT.{RAW}.raw");
        let inbox = self.inbox.clone();
        self.client
            .publish_with_reply(next, inbox, "1".into())
            .await?;
        let delivered = self.deliveries.next().await;
        let delivered = delivered.context("the connection to NATS is closed")?;
        annotate(&self.kube, NAMESPACE, &name(FLOORS), value).await?;
        let took = started.elapsed();
        let ack = delivered.reply.context("a delivery says where to ack")?;
        self.client.publish(ack, "+ACK".into()).await?;
        Ok(milliseconds(took))
    }
}
