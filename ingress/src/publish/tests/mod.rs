//! Against a real nats-server; where a test must decide when and what the stream answers, a plain
//! subscriber plays the stream.

use std::{collections::HashSet, time::Duration};

use async_nats::{
    Client,
    jetstream::{Context, stream::Config},
};
use eso_relay::{
    Event,
    event::{Keys, Kind, Match, Operation, Origin, decode_batch},
    nats::{NatsConfig, connect_once, connected},
    stream::{EVENTS_HEADER, Limits, Stream},
};
use futures::{StreamExt as _, future::join_all};
use tokio::{task::JoinHandle, time::timeout};

use super::*;

mod deadline;
mod fake_stream;
mod limits;
mod outage;
mod real_stream;

use eso_relay_lab::nats_server::{NatsOptions, NatsServer};

/// Long enough for a slow machine; nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn event(source: &str, id: &str) -> Event {
    Event {
        id: id.to_owned(),
        source: source.parse().unwrap(),
        kind: Kind::SecretChanged,
        time: None,
        traceparent: None,
        tracestate: None,
        provider: "akeyless".parse().unwrap(),
        operation: Operation::Updated,
        matches: Match::Exact(Keys::new(vec![format!("/secret/{id}")]).unwrap()),
        version: None,
        scope: std::collections::BTreeMap::default(),
        target: None,
        settle: None,
        restart: false,
        received_at: jiff::Timestamp::UNIX_EPOCH,
        origin: Origin::default(),
    }
}

struct Setup {
    server: NatsServer,
    client: Client,
    jetstream: Context,
    usable: Usable,
    publisher: Publisher,
    committer: JoinHandle<anyhow::Result<()>>,
}

impl Setup {
    /// Without a stream.
    async fn new(config: &PublishConfig) -> Self {
        Self::on(NatsServer::builder().sync_always(), config).await
    }

    /// On a server with these options, without a stream.
    async fn on(server: NatsOptions, config: &PublishConfig) -> Self {
        let server = server.start().await.unwrap();
        let nats = NatsConfig::at(server.url());
        let client = connect_once(&nats, "publish-test", PATIENCE).await.unwrap();
        let jetstream = nats.jetstream(client.clone(), config.attempt_timeout);
        let metrics = Metrics::register(&mut prometheus_client::registry::Registry::default());
        let usable = Usable::default();
        usable.set(true);
        let (publisher, committer) = super::publisher(
            client.clone(),
            jetstream.clone(),
            usable.clone(),
            config,
            metrics,
        );
        Self {
            server,
            client,
            jetstream,
            usable,
            publisher,
            committer: tokio::spawn(committer.run()),
        }
    }

    /// With the stream as `init` declares it, but for its size in messages.
    async fn with_stream(config: &PublishConfig, max_messages: i64) -> Self {
        Self::with(config, |stream| stream.max_messages = max_messages).await
    }

    /// With the stream as `init` declares it, but for this.
    async fn with(config: &PublishConfig, change: impl FnOnce(&mut Config)) -> Self {
        let setup = Self::new(config).await;
        setup.create_stream(change).await;
        setup
    }

    async fn create_stream(&self, change: impl FnOnce(&mut Config)) {
        let mut stream = Stream::Events.config(&Limits::default());
        change(&mut stream);
        self.jetstream.create_stream(stream).await.unwrap();
    }

    /// The ids of all events in the stream, message by message.
    async fn stored(&self) -> Vec<Vec<String>> {
        let stream = self.jetstream.get_stream(Stream::Events.name()).await;
        let stream = stream.unwrap();
        let last = stream.get_info().await.unwrap().state.last_sequence;
        let mut messages = Vec::new();
        for sequence in 1..=last {
            let message = stream.get_raw_message(sequence).await.unwrap();
            let ids = ids(&message.payload);
            let counted = message.headers.get(EVENTS_HEADER).unwrap().as_str();
            assert_eq!(counted, ids.len().to_string());
            messages.push(ids);
        }
        messages
    }

    fn publish(&self, id: &str) -> JoinHandle<Published> {
        self.publish_all(&[id])
    }

    /// As one request.
    fn publish_all(&self, ids: &[&str]) -> JoinHandle<Published> {
        let publisher = self.publisher.clone();
        let events: Vec<_> = ids.iter().map(|id| event("s", id)).collect();
        tokio::spawn(async move { publisher.publish(&events, None).await })
    }
}

fn ids(body: &[u8]) -> Vec<String> {
    let events = decode_batch(body).unwrap().into_iter();
    events.map(|event| event.unwrap().id).collect()
}

/// What a publisher returns.
type Published = Result<Option<Stored>, PublishError>;

async fn result(publish: JoinHandle<Published>) -> Result<(), PublishError> {
    let published = timeout(PATIENCE, publish).await.expect("an answer");
    published.unwrap().map(drop)
}

fn config() -> PublishConfig {
    PublishConfig::default()
}

fn short() -> PublishConfig {
    PublishConfig {
        attempt_timeout: Duration::from_millis(300),
        deadline: Duration::from_millis(600),
        ..config()
    }
}

const UNLIMITED: i64 = -1;
