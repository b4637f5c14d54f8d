//! The half of an installation that consumes: a hub, one cluster, its consumers; events are
//! published by hand, so that a test says which share a message.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_nats::jetstream::{
    Context,
    consumer::{Info, PullConsumer},
    message::StreamMessage,
};
use eso_relay::{
    Event,
    stream::{Start, Stream, durable},
};
use eso_relay_lab::{
    cluster::{create_all, create_namespace, external_secret, get, store},
    daemon::{Daemon, DaemonOptions},
    installation::{Cluster, Hub, READY},
    standin::{Requests, StandIn},
    wait,
};
use futures::{StreamExt as _, stream};
use kube::Client;

use crate::cli;

/// The namespace of everything that [`Consuming::on`] makes, and the token of its consumers on the
/// stand-in: faults of theirs must not meet the stand-in ESO.
pub(crate) const TEAM: &str = "team-a";
pub(crate) const CONSUMER: &str = "consumer";

pub(crate) struct Consuming {
    pub(crate) hub: Hub,
    pub(crate) cluster: Cluster,
    pub(crate) jetstream: Context,
}

impl Consuming {
    /// Streams, the durable, and in [`TEAM`] the `SecretStore` `akeyless` with an `ExternalSecret` for
    /// each name, which reads the key `/prod/NAME`.
    pub(crate) async fn on(cluster: Cluster, names: &[&str]) -> Self {
        Self::of(Hub::start().await.unwrap(), cluster, names).await
    }

    /// The same, with this hub.
    pub(crate) async fn of(hub: Hub, cluster: Cluster, names: &[&str]) -> Self {
        hub.init(&[cluster.name()]).await.unwrap();
        let jetstream = hub.jetstream().await.unwrap();
        fill(&cluster, names).await;
        Self {
            hub,
            cluster,
            jetstream,
        }
    }

    pub(crate) fn stand_in(&self) -> &StandIn {
        self.cluster.as_stand_in().unwrap()
    }

    pub(crate) fn requests(&self) -> &Requests {
        self.stand_in().requests()
    }

    /// A consumer that is not started yet, with more YAML at the top level.
    pub(crate) fn options(&self, more: &str) -> DaemonOptions {
        let options = self.cluster.consumer(&self.hub, more);
        match self.cluster.as_stand_in() {
            Some(_) => options.kubeconfig(&self.cluster.kubeconfig_as(CONSUMER).unwrap()),
            None => options,
        }
    }

    /// A consumer that is ready.
    pub(crate) async fn consumer(&self, more: &str) -> Daemon {
        let mut consumer = self.options(more).start().await.unwrap();
        consumer.wait_ready(READY).await.unwrap();
        consumer
    }

    /// One message with an event for each key; what each event writes on its targets.
    pub(crate) async fn publish(&self, keys: &[&str]) -> Vec<String> {
        let events: Vec<Event> = keys.iter().map(|key| event(key)).collect();
        cli::publish(&self.jetstream, &events).await;
        events.iter().map(fingerprint).collect()
    }

    /// A message for each key, many at a time: nothing is packed on the way.
    pub(crate) async fn publish_each(&self, keys: impl Iterator<Item = String>) {
        stream::iter(keys)
            .map(async |key| cli::publish(&self.jetstream, &[event(&key)]).await)
            .buffer_unordered(256)
            .for_each(|()| std::future::ready(()))
            .await;
    }

    /// Waits until the `ExternalSecret` carries what an event writes.
    pub(crate) async fn carries(&self, name: &str, value: &str) {
        let what = format!("{name} to carry {value}");
        wait::until_ok(what, READY, || async {
            let carried = self.cluster.refresh_of(TEAM, name).await;
            (carried.as_deref() == Some(value))
                .then_some(())
                .ok_or(carried)
        })
        .await
        .unwrap();
    }

    /// Waits until ESO has synced it for the first time, and says so: before that no policy keeps it from
    /// being refreshed.
    pub(crate) async fn synced(&self, name: &str) {
        synced(self.cluster.client(), TEAM, name).await;
    }

    /// What the server knows of the cluster's durable.
    pub(crate) async fn durable(&self) -> Info {
        info(&self.jetstream, self.cluster.name()).await
    }

    /// Waits until nothing is left to deliver and all that was delivered is acked.
    pub(crate) async fn drained(&self) {
        drained(&self.jetstream, self.cluster.name(), READY).await;
    }

    /// The durable as `init` makes it, but for this `ack_wait`: with one that no test outlives,
    /// nothing that ends has waited for it.
    pub(crate) async fn set_ack_wait(&self, ack_wait: Duration) {
        let mut config = durable(&self.cluster.name().parse().unwrap(), Start::default());
        config.ack_wait = ack_wait;
        let stream = self
            .jetstream
            .get_stream(Stream::Events.name())
            .await
            .unwrap();
        stream.update_consumer(config).await.unwrap();
    }

    /// Every dead letter, in the order in which they were stored.
    pub(crate) async fn dead_letters(&self) -> Vec<StreamMessage> {
        let stream = self
            .jetstream
            .get_stream(Stream::Dead.name())
            .await
            .unwrap();
        let state = &stream.cached_info().state;
        let mut letters = Vec::new();
        if state.messages == 0 {
            return letters;
        }
        for sequence in state.first_sequence..=state.last_sequence {
            letters.push(stream.get_raw_message(sequence).await.unwrap());
        }
        letters
    }
}

/// The `SecretStore` and the `ExternalSecret`s of [`Consuming::on`].
pub(crate) async fn fill(cluster: &Cluster, names: &[&str]) {
    let client = cluster.client();
    create_namespace(client, TEAM).await.unwrap();
    let akeyless = store("akeyless").in_namespace(TEAM).akeyless();
    akeyless.create(client).await.unwrap();
    let objects = names.iter().map(|name| {
        let key = format!("/prod/{name}");
        cluster.values.set(&key, "old");
        external_secret(name)
            .in_namespace(TEAM)
            .from_store("akeyless")
            .key(&key)
    });
    create_all(client, objects, 8).await.unwrap();
}

pub(crate) async fn synced(client: &Client, namespace: &str, name: &str) {
    let what = format!("the first sync of {namespace}/{name}");
    wait::until(what, READY, || async {
        let object = get(client, namespace, name).await.unwrap()?;
        let version = object.data["status"]["syncedResourceVersion"].as_str();
        version.filter(|version| !version.is_empty()).map(drop)
    })
    .await
    .unwrap();
}

/// An event about an Akeyless item, with an id of its own.
pub(crate) fn event(key: &str) -> Event {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    cli::event(&format!("event-{id}"), key, None)
}

pub(crate) fn fingerprint(event: &Event) -> String {
    event.fingerprint().to_string()
}

pub(crate) async fn info(jetstream: &Context, cluster: &str) -> Info {
    let mut durable: PullConsumer = jetstream
        .get_consumer_from_stream(cluster, Stream::Events.name())
        .await
        .unwrap();
    durable.info().await.unwrap().clone()
}

/// [`Consuming::drained`] for any cluster of the hub.
pub(crate) async fn drained(jetstream: &Context, cluster: &str, deadline: Duration) {
    let what = format!("all deliveries to {cluster} to be acked");
    wait::until_ok(what, deadline, || async {
        let info = info(jetstream, cluster).await;
        let left = (info.num_pending, info.num_ack_pending);
        (left == (0, 0)).then_some(()).ok_or(left)
    })
    .await
    .unwrap();
}

/// `prefix-0`, `prefix-1`, …
pub(crate) fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|at| format!("{prefix}-{at}")).collect()
}

pub(crate) fn strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}
