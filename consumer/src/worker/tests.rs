use async_nats::jetstream::stream::Stream as JetStreamStream;
use bytes::Bytes;
use eso_relay::{
    admin::Readiness,
    event::encode_batch,
    stream::{Limits, Stream},
};
use prometheus_client::registry::Registry;
use tokio::task::JoinHandle;

use super::*;
use crate::{
    delivery::Pull,
    engine::Settings,
    kubernetes::ApiVersion,
    metrics::{End, Ended},
    tests::{
        NatsServer, PATIENCE, SUBJECT, cluster, condition, connect, event, pending, provision,
        publish, until,
    },
};

/// Pull loop and worker, on a real server and in a cluster without a single object.
struct Consumer {
    jetstream: Context,
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
            stop: stop.clone(),
        };
        tokio::spawn(pull.run());
        let nowhere = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let nowhere = kube::Client::try_from(nowhere).unwrap();
        let tools = Tools {
            cluster: cluster(),
            client,
            jetstream: jetstream.clone(),
            refresher: Arc::new(Refresher::new(nowhere, ApiVersion::V1, PATIENCE)),
            metrics: metrics.clone(),
        };
        let inlet = Inlet {
            messages: received,
            credit: granted,
            changes: cluster_changes,
            stop: stop.clone(),
            running,
        };
        let engine = Engine::new(Settings::default(), 1);
        let worker = tokio::spawn(Worker::new(engine, tools).run(inlet));
        Self {
            jetstream,
            metrics,
            changes,
            readiness,
            stop,
            worker,
        }
    }

    async fn synced(self) -> Self {
        self.changes.send(Change::Synced).await.unwrap();
        self
    }

    fn ended(&self, outcome: End) -> u64 {
        let ended = Ended { outcome };
        self.metrics.deliveries.get_or_create(&ended).get()
    }

    async fn settled(&self) {
        let settled = || async { pending(&self.jetstream).await == (0, 0) };
        until("every message to be done with", settled).await;
    }
}

fn good(id: &str) -> Bytes {
    encode_batch([&event(id)])
}

async fn dead(jetstream: &Context) -> JetStreamStream {
    jetstream.get_stream(Stream::Dead.name()).await.unwrap()
}

#[tokio::test]
async fn an_event_that_matches_nothing_is_acked() {
    let server = NatsServer::start();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &Stream::ALL).await;
    publish(&jetstream, SUBJECT, vec![good("one"), good("two")]).await;
    let consumer = Consumer::start(&server).await.synced().await;
    consumer.settled().await;
    assert_eq!(consumer.ended(End::acked), 2);
    assert_eq!(dead(&jetstream).await.cached_info().state.messages, 0);
}

#[tokio::test]
async fn what_cannot_be_read_becomes_a_dead_letter_and_the_next_message_goes_on() {
    let server = NatsServer::start();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &Stream::ALL).await;
    publish(&jetstream, SUBJECT, vec!["poison".into(), good("fine")]).await;
    let other_major = "eso-relay.events.v2.akeyless.prod";
    publish(&jetstream, other_major, vec![good("from the future")]).await;
    let consumer = Consumer::start(&server).await.synced().await;
    consumer.settled().await;
    assert_eq!(consumer.ended(End::acked), 1);
    assert_eq!(consumer.ended(End::dead_lettered), 2);

    let dead = dead(&jetstream).await;
    assert_eq!(dead.cached_info().state.messages, 2);
    let letter = dead.get_raw_message(1).await.unwrap();
    assert_eq!(letter.subject.as_str(), "eso-relay.dead.v1.east.prod");
    assert_eq!(letter.payload, "poison");
    let header = |name| letter.headers.get(name).map(|value| value.as_str());
    assert_eq!(header("Eso-Relay-Reason"), Some("undecodable"));
    assert_eq!(header("Eso-Relay-Sequence"), Some("1"));
    let letter = dead.get_raw_message(2).await.unwrap();
    assert_eq!(letter.payload, good("from the future"));
}

#[tokio::test]
async fn without_a_place_for_dead_letters_nothing_is_terminated() {
    let server = NatsServer::start();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &[Stream::Events]).await;
    publish(&jetstream, SUBJECT, vec!["poison".into()]).await;
    let consumer = Consumer::start(&server).await.synced().await;
    until("the message to be given back", || async {
        consumer.ended(End::nacked) > 0
    })
    .await;
    assert_eq!(consumer.ended(End::dead_lettered), 0);

    let config = Stream::Dead.config(&Limits::default());
    jetstream.create_stream(config).await.unwrap();
    consumer.settled().await;
    assert_eq!(consumer.ended(End::dead_lettered), 1);
    assert_eq!(dead(&jetstream).await.cached_info().state.messages, 1);
}

#[tokio::test]
async fn nothing_is_pulled_before_the_index_is_complete() {
    let server = NatsServer::start();
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
async fn after_a_stop_no_message_is_left_behind_unacked() {
    let server = NatsServer::start();
    let (_, jetstream) = connect(&server).await;
    provision(&jetstream, &Stream::ALL).await;
    let bodies = (0..5000).map(|id| good(&id.to_string())).collect();
    publish(&jetstream, SUBJECT, bodies).await;
    let consumer = Consumer::start(&server).await.synced().await;
    until("work to begin", || async { consumer.ended(End::acked) > 0 }).await;
    consumer.stop.cancel();
    until("the stop to show", || async {
        !consumer.readiness.is_ready()
    })
    .await;
    let acked = consumer.metrics.clone();
    consumer.worker.await.unwrap().unwrap();
    let (waiting_for_an_ack, _) = pending(&jetstream).await;
    // Messages that were handed back count as waiting until somebody pulls them.
    let handed_back = Ended {
        outcome: End::handed_back,
    };
    let handed_back = acked.deliveries.get_or_create(&handed_back).get();
    assert!(waiting_for_an_ack as u64 <= handed_back);

    let next = Consumer::start(&server).await.synced().await;
    next.settled().await;
}
