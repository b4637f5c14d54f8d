//! What the tests of this package share.

use std::{collections::BTreeMap, future::Future, time::Duration};

use async_nats::jetstream::{Context, consumer::PullConsumer};
use bytes::Bytes;
use eso_relay::{
    Event, Slug,
    admin::{Condition, Readiness},
    event::{Fingerprint, Keys, Kind, Match, Operation, Origin},
    stream::{self, Limits, Stream},
};
use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

pub(crate) use eso_relay_lab::nats_server::NatsServer;

use crate::{
    matching::{EventKind, Lane, MatchResult, MatchedEvent},
    object::Sequence,
    stream::{Message, Reply, gap::GapCheck},
};

/// How long a condition may take to come true on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const SUBJECT: &str = "eso-relay.events.v1.akeyless.prod";

pub(crate) fn cluster() -> Slug {
    "east".parse().unwrap()
}

/// An event about `/app/db`.
pub(crate) fn event(id: &str) -> Event {
    Event {
        id: id.into(),
        source: "prod".parse().unwrap(),
        kind: Kind::SecretChanged,
        time: None,
        traceparent: None,
        tracestate: None,
        provider: "akeyless".parse().unwrap(),
        operation: Operation::Updated,
        matches: Match::Exact(Keys::one("/app/db").unwrap()),
        version: None,
        scope: BTreeMap::new(),
        target: None,
        settle: None,
        restart: false,
        received_at: Timestamp::UNIX_EPOCH,
        origin: Origin::default(),
    }
}

/// An event that matched one object, at once, as reports see it.
pub(crate) fn matched_event(value: Fingerprint, received_at: Timestamp) -> MatchedEvent {
    MatchedEvent {
        index: 0,
        value,
        source: "prod".parse().unwrap(),
        trace_id: None,
        traceparent: None,
        tracestate: None,
        event_type: Kind::SecretChanged,
        is_again: false,
        received_at,
        found: MatchResult::matched,
        targets: 1,
        skipped: 0,
        lane: Lane::exact,
        kind: EventKind::live,
    }
}

/// A delivery without a body.
pub(crate) fn received(sequence: Sequence) -> Message {
    Message {
        sequence,
        attempt: 1,
        pending: 0,
        age: Duration::ZERO,
        reply: Reply::Ack("reply".into()),
        subject: String::new(),
        body: Bytes::new(),
    }
}

pub(crate) fn condition(name: &'static str) -> (Readiness, Condition) {
    let readiness = Readiness::default();
    let condition = readiness.condition(name);
    (readiness, condition)
}

/// A connection such as the daemon has.
pub(crate) async fn connect(server: &NatsServer) -> (async_nats::Client, Context) {
    let config = eso_relay::nats::NatsConfig::at(server.url());
    let (_, connected) = condition("nats");
    let metrics = eso_relay::nats::Metrics::default();
    let client = eso_relay::nats::connect(&config, "test", connected, metrics).await;
    let client = client.unwrap();
    eso_relay::nats::connected(&client).await.unwrap();
    let jetstream = config.jetstream(client.clone(), Duration::from_secs(5));
    (client, jetstream)
}

/// A gap check that is done at once on each connection.
pub(crate) fn gap_check(client: &async_nats::Client) -> watch::Receiver<GapCheck> {
    let (checks, gap_check) = watch::channel(GapCheck::Pending);
    let client = client.clone();
    tokio::spawn(async move {
        while !checks.is_closed() {
            checks.send_replace(GapCheck::Done(eso_relay::nats::connection(&client)));
            sleep(Duration::from_millis(20)).await;
        }
    });
    gap_check
}

/// The streams and the durable, as `eso-relay init` declares them.
pub(crate) async fn provision(jetstream: &Context, streams: &[Stream]) {
    for stream in streams {
        let config = stream.config(&Limits::default());
        jetstream.create_stream(config).await.unwrap();
    }
    create_durable(jetstream).await;
}

pub(crate) async fn create_durable(jetstream: &Context) -> PullConsumer {
    let config = stream::durable(&cluster(), stream::Start::Oldest);
    let events = jetstream.get_stream(Stream::Events.name()).await.unwrap();
    events.create_consumer(config).await.unwrap()
}

/// Publishes messages, each with one byte of body, and waits until they are stored.
pub(crate) async fn publish(jetstream: &Context, subject: &'static str, bodies: Vec<Bytes>) {
    for chunk in bodies.chunks(500) {
        let mut acks = Vec::new();
        for body in chunk {
            acks.push(jetstream.publish(subject, body.clone()).await.unwrap());
        }
        for ack in acks {
            ack.await.unwrap();
        }
    }
}

/// Waits for something to come true, with a deadline.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let wait = async {
        while !condition().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(PATIENCE, wait).await.is_ok(), "waited for {what}");
}

/// How many messages the durable has delivered that are not acked yet, and how many still wait.
pub(crate) async fn pending(jetstream: &Context) -> (usize, u64) {
    let durable = eso_relay::stream::verify::durable(jetstream, &cluster()).await;
    let info = durable.unwrap().cached_info().clone();
    (info.num_ack_pending, info.num_pending)
}
