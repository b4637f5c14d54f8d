//! The whole way with the real External Secrets Operator at its end, on a real Kubernetes API, and
//! with real stores at its beginning. `ESO_RELAY_ESO=real` asks for it: see CONTRIBUTING.md.

mod aws;
mod openbao;
mod owner;
mod policy;
mod store;
mod sync;
mod webhook_provider;

use std::sync::atomic::{AtomicU64, Ordering};

use eso_relay_lab::{
    cluster::{
        ExternalSecretBuilder, Kind, cluster_store, create_namespace, external_secret, objects,
        secret_value,
    },
    daemon::{Daemon, DaemonOptions},
    documents::Documents,
    installation::{CliOutput, Hub, READY, Webhooks},
    kubernetes_api::KubernetesApi,
    operator::Operator,
    wait,
};
use futures::future::join_all;
use kube::{
    Client,
    api::{DynamicObject, PostParams},
};
use serde_json::{Value, json};

const TEAM: &str = "team-a";
/// The ClusterSecretStore of [`Site::read_from`].
const STORE: &str = "store";
/// The key in every Secret.
const VALUE: &str = "value";
/// What the source of [`Relay::with_source`] asks for; its value is the lab's bearer token.
const KEY_HEADER: &str = "X-Relay-Key";

/// NATS, the ingress, and clusters that the operator works on.
struct Relay {
    hub: Hub,
    ingress: Daemon,
    sites: Vec<Site>,
}

/// A cluster: nothing in it is a stand-in.
struct Site {
    name: String,
    client: Client,
    operator: Operator,
    consumer: Daemon,
    _api: KubernetesApi,
}

/// What a relay is started with.
#[derive(Default)]
struct Options<'a> {
    /// More YAML of the consumers.
    consumer: &'a str,
    /// The operator's environment.
    env: &'a [(&'a str, &'a str)],
}

impl Relay {
    /// All of it, ready; the ingress takes what [`Webhooks`] sends.
    async fn start(clusters: &[&str], options: Options<'_>) -> Self {
        let hub = Hub::start().await.unwrap();
        let ingress = hub.ingress();
        Self::of(hub, ingress, clusters, options).await
    }

    /// The same with one source instead, which asks for [`KEY_HEADER`].
    async fn with_source(source: &str, format: &str, options: Options<'_>) -> Self {
        let hub = Hub::start().await.unwrap();
        let key = hub.secrets().join("token");
        let yaml = format!(
            "nats: {{ url: '{}' }}\n\
             sources:\n\
             - {{ name: {source}, format: {format}, auth: {{ header: {{ name: {KEY_HEADER}, value_file: '{}' }} }} }}\n",
            hub.nats.url(),
            key.display(),
        );
        let ingress = Daemon::ingress().config(yaml);
        Self::of(hub, ingress, &["east"], options).await
    }

    async fn of(hub: Hub, ingress: DaemonOptions, clusters: &[&str], options: Options<'_>) -> Self {
        hub.init(clusters).await.unwrap();
        let mut ingress = ingress.start().await.unwrap();
        let sites = clusters
            .iter()
            .map(|cluster| Site::start(cluster, &hub, &options));
        let sites = join_all(sites).await;
        ingress.wait_ready(READY).await.unwrap();
        Self {
            hub,
            ingress,
            sites,
        }
    }

    /// Where a store posts to the source of that name.
    fn hook(&self, source: &str) -> String {
        format!("{}/v1/hooks/{source}", self.ingress.url())
    }

    /// Tells of a change of these keys; what came of it is traced by the id.
    async fn changed(&self, keys: &[&str]) -> String {
        let events: Value = keys
            .iter()
            .map(|key| json!({ "id": id(), "secret": { "name": key } }))
            .collect();
        let webhooks = Webhooks::to(&self.ingress.url());
        let answer = webhooks.generic(&events).await.unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.accepted().remove(0)
    }

    /// What became of an event, once it is known.
    async fn trace(&self, event: &str) -> CliOutput {
        let trace = ["trace", event, "--wait"];
        self.hub.cli(&trace).await.unwrap()
    }
}

impl Site {
    async fn start(name: &str, hub: &Hub, options: &Options<'_>) -> Self {
        let api = Operator::kubernetes_api().await.unwrap();
        let operator = Operator::start(&api, options.env).await.unwrap();
        let yaml = format!(
            "cluster: {name}\nnats: {{ url: '{}' }}\n{}",
            hub.nats.url(),
            options.consumer
        );
        let consumer = Daemon::consumer().config(yaml);
        let consumer = consumer.kubeconfig(&api.kubeconfig());
        let mut consumer = consumer.start().await.unwrap();
        consumer.wait_ready(READY).await.unwrap();
        let client = api.client();
        create_namespace(&client, TEAM).await.unwrap();
        Self {
            name: name.to_owned(),
            client,
            operator,
            consumer,
            _api: api,
        }
    }

    /// Makes [`STORE`] with this provider.
    async fn read_from(&self, provider: Value) {
        let store = cluster_store(STORE).provider(provider);
        store.create(&self.client).await.unwrap();
    }

    async fn create(&self, external_secret: ExternalSecretBuilder) {
        external_secret.create(&self.client).await.unwrap();
    }

    /// A Secret for a store to prove itself with.
    async fn create_secret(&self, name: &str, key: &str, value: &str) {
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": name },
            "stringData": { key: value },
        });
        let secret: DynamicObject = serde_json::from_value(secret).unwrap();
        let secrets = objects(&self.client, Kind::Secret, Some(TEAM));
        secrets
            .create(&PostParams::default(), &secret)
            .await
            .unwrap();
    }

    /// Waits until the Secret holds this value.
    async fn holds(&self, namespace: &str, name: &str, value: &str) {
        self.holds_at(VALUE, namespace, name, value).await;
    }

    /// The same under another key than [`VALUE`].
    async fn holds_at(&self, key: &str, namespace: &str, name: &str, value: &str) {
        let what = format!("{value:?} in {namespace}/{name} of {}", self.name);
        let held = wait::until_ok(what, READY, || async {
            let held = secret_value(&self.client, namespace, name, key).await;
            let held = held.unwrap();
            (held.as_deref() == Some(value)).then_some(()).ok_or(held)
        });
        if let Err(error) = held.await {
            panic!(
                "{error}\n{}\n{}",
                self.operator.process.log(),
                self.consumer.logs()
            );
        }
    }
}

/// Of an event of its own.
fn id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}

/// An ExternalSecret in [`TEAM`] that reads this key through [`STORE`], once an hour by itself.
fn reading(name: &str, key: &str) -> ExternalSecretBuilder {
    external_secret(name)
        .in_namespace(TEAM)
        .cluster_store(STORE)
        .key(key)
}

/// A store, and a relay of one cluster that reads from it.
async fn with_documents(options: Options<'_>) -> (Documents, Relay) {
    let documents = Documents::start().await.unwrap();
    let relay = Relay::start(&["east"], options).await;
    relay.sites[0].read_from(documents.provider()).await;
    (documents, relay)
}
