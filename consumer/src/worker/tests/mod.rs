mod api;

use async_nats::{HeaderValue, jetstream::stream::Stream as JetStreamStream};
use bytes::Bytes;
use eso_relay::{
    admin::Readiness,
    event::{Keys, Match, encode_batch},
    stream::{Limits, Stream},
};
use prometheus_client::registry::Registry;
use tokio::task::JoinHandle;

use self::api::Api;
use super::*;
use crate::{
    engine::Settings,
    kubernetes::{ApiVersion, Served},
    matching::{
        MatchResult,
        index::{ExternalSecret, Form, Reference, StoreRef},
    },
    object::{ObjectRef, Refreshable, Unrefreshable},
    report::metrics::{DeliveryLabels, DeliveryOutcome, EventLabels, Metrics, SkippedLabels},
    stream::Pull,
    tests::{
        NatsServer, PATIENCE, SUBJECT, cluster, condition, connect, event, gap_check, pending,
        provision, publish, until,
    },
};

/// Pull loop and worker, on a real NATS server, with an API that only takes patches.
struct Consumer {
    api: Api,
    jetstream: jetstream::Context,
    metrics: Metrics,
    changes: mpsc::Sender<Change>,
    readiness: Readiness,
    stop: CancellationToken,
    worker: JoinHandle<anyhow::Result<()>>,
}

impl Consumer {
    async fn start(server: &NatsServer) -> Self {
        let (client, jetstream) = connect(server).await;
        let stop = CancellationToken::new();
        let metrics = Metrics::register(&mut Registry::default());
        let (granted, credit) = watch::channel(0);
        let (messages, received) = mpsc::channel(256);
        let (changes, cluster_changes) = mpsc::channel(16);
        let (readiness, running) = condition("worker");
        let pull = Pull {
            client: client.clone(),
            jetstream: jetstream.clone(),
            cluster: cluster(),
            condition: readiness.condition("stream"),
            credit,
            messages,
            lost: metrics.lost_pulls.clone(),
            gap_check: gap_check(&client),
            stop: stop.clone(),
        };
        tokio::spawn(pull.run());
        let api = Api::start().await;
        let context = context(client, &jetstream, &api);
        let report = Reporter::new(cluster(), metrics.clone(), mpsc::channel(1).0, None);
        let inputs = Inputs {
            messages: received,
            credit: granted,
            changes: cluster_changes,
            gaps: mpsc::channel(1).1,
            asks: mpsc::channel(1).1,
            stop: stop.clone(),
            running,
        };
        let settings = Settings {
            patches_in_flight: 1,
            ..Settings::default()
        };
        let engine = Engine::new(settings, 1);
        let worker = tokio::spawn(Worker::new(engine, context, report).run(inputs));
        Self {
            api,
            jetstream,
            metrics,
            changes,
            readiness,
            stop,
            worker,
        }
    }

    /// With two objects, which read `/app/db` and `/app/mail`, and a third that is written once,
    /// from `/app/seed`.
    async fn synced(self) -> Self {
        let once = Refreshable::No(Unrefreshable::CreatedOnce);
        let yes = Refreshable::Yes;
        for (key, refreshable) in [("/app/db", yes), ("/app/mail", yes), ("/app/seed", once)] {
            let store = StoreRef::Cluster {
                name: "akeyless".into(),
            };
            let reference = Reference {
                store,
                form: Form::Key(key.into()),
                version: None,
                property: None,
            };
            let target = ObjectRef::new("team", key.trim_start_matches("/app/"));
            let object = ExternalSecret {
                refreshable,
                ..ExternalSecret::new(target, vec![reference])
            };
            self.changes.send(Change::Applied(object)).await.unwrap();
        }
        self.changes.send(Change::Synced).await.unwrap();
        self
    }

    fn ended(&self, outcome: DeliveryOutcome) -> u64 {
        ended(&self.metrics, outcome)
    }

    async fn settled(&self) {
        let settled = || async { pending(&self.jetstream).await == (0, 0) };
        until("every message to be acked or terminated", settled).await;
    }
}

fn context(client: Client, jetstream: &jetstream::Context, api: &Api) -> Context {
    Context {
        cluster: cluster(),
        client,
        jetstream: jetstream.clone(),
        refresher: Arc::new(Refresher::new(
            Served::new(api.client(), ApiVersion::V1),
            PATIENCE,
        )),
        stores: StorePolicy::default(),
        gap_outcomes: mpsc::channel(1).0,
        holding: watch::channel(Holding::default()).0,
    }
}

fn ended(metrics: &Metrics, outcome: DeliveryOutcome) -> u64 {
    metrics
        .deliveries
        .get_or_create(&DeliveryLabels { outcome })
        .get()
}

/// An event that means no object here.
fn good(id: &str) -> Bytes {
    about("/app/unknown", id)
}

fn about(key: &str, id: &str) -> Bytes {
    let mut event = event(id);
    event.matches = Match::Exact(Keys::one(key).unwrap());
    encode_batch([&event])
}

async fn dead(jetstream: &jetstream::Context) -> JetStreamStream {
    jetstream.get_stream(Stream::Dead.name()).await.unwrap()
}

#[tokio::test]
async fn an_event_that_matches_nothing_is_acked() {
    let server = NatsServer::start().await.unwrap();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &Stream::ALL).await;
    publish(&jetstream, SUBJECT, vec![good("one"), good("two")]).await;
    let consumer = Consumer::start(&server).await.synced().await;
    consumer.settled().await;
    assert_eq!(consumer.ended(DeliveryOutcome::acked), 2);
    assert_eq!(dead(&jetstream).await.cached_info().state.messages, 0);
}

#[tokio::test]
async fn a_skipped_event_is_acked_and_counted() {
    let server = NatsServer::start().await.unwrap();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &Stream::ALL).await;
    publish(&jetstream, SUBJECT, vec![about("/app/seed", "one")]).await;
    let consumer = Consumer::start(&server).await.synced().await;
    consumer.settled().await;
    assert_eq!(
        (consumer.ended(DeliveryOutcome::acked), consumer.api.asked()),
        (1, 0)
    );
    let Metrics {
        events, skipped, ..
    } = &consumer.metrics;
    let result = MatchResult::skipped;
    assert_eq!(events.get_or_create(&EventLabels { result }).get(), 1);
    let reason = "created_once";
    assert_eq!(skipped.get_or_create(&SkippedLabels { reason }).get(), 1);
}

#[tokio::test]
async fn an_undecodable_message_is_dead_lettered() {
    let server = NatsServer::start().await.unwrap();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &Stream::ALL).await;
    publish(&jetstream, SUBJECT, vec!["poison".into(), good("fine")]).await;
    let consumer = Consumer::start(&server).await.synced().await;
    consumer.settled().await;
    let other_major = "eso-relay.events.v2.akeyless.prod";
    publish(&jetstream, other_major, vec![good("from the future")]).await;
    consumer.settled().await;
    assert_eq!(consumer.ended(DeliveryOutcome::acked), 1);
    assert_eq!(consumer.ended(DeliveryOutcome::dead_lettered), 2);

    let dead = dead(&jetstream).await;
    assert_eq!(dead.cached_info().state.messages, 2);
    let letter = dead.get_raw_message(1).await.unwrap();
    assert_eq!(letter.subject.as_str(), "eso-relay.dead.v1.east.prod");
    assert_eq!(letter.payload, "poison");
    let header = |name| letter.headers.get(name).map(HeaderValue::as_str);
    assert_eq!(header("Eso-Relay-Reason"), Some("undecodable"));
    assert_eq!(header("Eso-Relay-Sequence"), Some("1"));
    let letter = dead.get_raw_message(2).await.unwrap();
    assert_eq!(letter.payload, good("from the future"));
}

#[tokio::test]
async fn without_a_place_for_dead_letters_nothing_is_terminated() {
    let server = NatsServer::start().await.unwrap();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &[Stream::Events]).await;
    publish(&jetstream, SUBJECT, vec!["poison".into()]).await;
    let consumer = Consumer::start(&server).await.synced().await;
    until("the message to be given back", || async {
        consumer.ended(DeliveryOutcome::nacked) > 0
    })
    .await;
    assert_eq!(consumer.ended(DeliveryOutcome::dead_lettered), 0);

    let config = Stream::Dead.config(&Limits::default());
    jetstream.create_stream(config).await.unwrap();
    consumer.settled().await;
    assert_eq!(consumer.ended(DeliveryOutcome::dead_lettered), 1);
    assert_eq!(dead(&jetstream).await.cached_info().state.messages, 1);
}

#[tokio::test]
async fn nothing_is_pulled_before_the_index_is_complete() {
    let server = NatsServer::start().await.unwrap();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &Stream::ALL).await;
    publish(&jetstream, SUBJECT, vec![good("early")]).await;
    let consumer = Consumer::start(&server).await;
    until("the durable to be found", || async {
        consumer.readiness.is_ready()
    })
    .await;
    assert_eq!(pending(&jetstream).await, (0, 1));
    consumer.synced().await.settled().await;
}

#[tokio::test]
async fn the_ack_waits_for_the_patch() {
    let server = NatsServer::start().await.unwrap();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &Stream::ALL).await;
    let consumer = Consumer::start(&server).await.synced().await;
    consumer.api.answer(false);
    publish(&jetstream, SUBJECT, vec![about("/app/db", "one")]).await;
    until("the patch", || async { consumer.api.asked() == 1 }).await;
    assert_eq!(pending(&jetstream).await, (1, 0));
    consumer.api.answer(true);
    consumer.settled().await;
    assert_eq!(consumer.ended(DeliveryOutcome::acked), 1);
    assert_eq!(consumer.api.asked(), 1);
}

#[tokio::test]
async fn a_stop_finishes_patches_and_hands_back() {
    let server = NatsServer::start().await.unwrap();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &Stream::ALL).await;
    let consumer = Consumer::start(&server).await.synced().await;
    consumer.api.answer(false);
    let events = vec![about("/app/db", "one"), about("/app/mail", "two")];
    publish(&jetstream, SUBJECT, events).await;
    until("both to be delivered", || async {
        consumer.api.asked() == 1 && pending(&jetstream).await == (2, 0)
    })
    .await;
    consumer.stop.cancel();
    until("the second to be handed back", || async {
        consumer.ended(DeliveryOutcome::handed_back) == 1
    })
    .await;
    consumer.api.answer(true);
    let metrics = consumer.metrics.clone();
    consumer.worker.await.unwrap().unwrap();
    assert_eq!(ended(&metrics, DeliveryOutcome::acked), 1);

    let next = Consumer::start(&server).await.synced().await;
    next.settled().await;
    assert_eq!(next.api.asked(), 1);
    assert_eq!(next.ended(DeliveryOutcome::acked), 1);
}

#[tokio::test]
async fn after_a_stop_no_message_is_left_behind_unacked() {
    let server = NatsServer::start().await.unwrap();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &Stream::ALL).await;
    let bodies = (0..5000).map(|id| good(&id.to_string())).collect();
    publish(&jetstream, SUBJECT, bodies).await;
    let consumer = Consumer::start(&server).await.synced().await;
    until("work to begin", || async {
        consumer.ended(DeliveryOutcome::acked) > 0
    })
    .await;
    consumer.stop.cancel();
    until("the stop to show", || async {
        !consumer.readiness.is_ready()
    })
    .await;
    let metrics = consumer.metrics.clone();
    consumer.worker.await.unwrap().unwrap();
    // What was handed back is un-acked until a replica pulls it.
    let (unacked, _) = pending(&jetstream).await;
    assert_eq!(
        unacked as u64,
        ended(&metrics, DeliveryOutcome::handed_back)
    );

    let next = Consumer::start(&server).await.synced().await;
    next.settled().await;
}

/// Whichever of the two the worker looks at first.
#[tokio::test]
async fn a_gap_is_accepted_before_what_was_pulled_after_it() {
    let server = NatsServer::start().await.unwrap();
    let (client, jetstream) = connect(&server).await;
    let api = Api::start().await;
    let metrics = Metrics::register(&mut Registry::default());
    let report = Reporter::new(cluster(), metrics, mpsc::channel(1).0, None);
    let engine = Engine::new(Settings::default(), 1);
    let mut worker = Worker::new(engine, context(client, &jetstream, &api), report);
    let (found, mut gaps) = mpsc::channel(1);
    let gap = Gap {
        found_at: "2026-01-31T08:00:00Z".parse().unwrap(),
        missed: None,
    };
    found.try_send(gap).unwrap();

    worker.accept_gap(&mut gaps);
    assert_eq!(worker.held.len(), 0, "the index is not complete");
    worker.apply(Change::Synced);
    worker.accept_gap(&mut gaps);
    assert_eq!(worker.held.len(), 1);
}
