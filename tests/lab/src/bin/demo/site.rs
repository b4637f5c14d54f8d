//! One of the two clusters, and the ExternalSecrets in it.

use anyhow::{Context as _, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use eso_relay_lab::{
    cluster::{
        ExternalSecretBuilder, Kind, StoreBuilder, cluster_store, create_all, create_namespace,
        external_secret, objects, store,
    },
    daemon::Daemon,
    installation::{Cluster, Hub, KubernetesKind, READY},
    wait,
    workloads::{Controllers, RESTARTS, Workload, marks},
};
use futures::future::join_all;

use super::stage::check;

pub(crate) const NAMESPACE: &str = "eso-relay-demo";
/// The name of an ExternalSecret, and that of its secret.
pub(crate) type Part = (&'static str, &'static str);
/// What an ExternalSecret reads, by the key of its secret.
pub(crate) type Reads = fn(ExternalSecretBuilder, &str) -> ExternalSecretBuilder;
const KEY: Reads = ExternalSecretBuilder::key;

/// One for each way in which an ExternalSecret can name a secret.
pub(crate) const PARTS: [(Part, Reads); 6] = [
    (DATA, KEY),
    (SOURCE_REF, |it, key| it.key(key).source_ref("other-store")),
    (SHARED, |it, key| it.key(key).cluster_store(NAMESPACE)),
    (("extract", "/demo/login"), ExternalSecretBuilder::extract),
    (("find-by-name", "/demo/api-token"), |it, _| {
        it.find_name("^/?demo/api-")
    }),
    (("find-by-path", "/demo/tls/cert"), |it, _| {
        it.find_path("/demo/tls")
    }),
];
pub(crate) const DATA: Part = ("data", "/demo/database");
const SOURCE_REF: Part = ("source-ref", "/demo/queue");
const SHARED: Part = ("cluster-store", "/demo/shared");
/// The one that a Deployment of the same name reads.
pub(crate) const WEB: Part = ("web", "/demo/web");
/// Those that change while a cluster is away.
pub(crate) const AWAY: [Part; 3] = [DATA, SOURCE_REF, SHARED];

/// Forty more, with a secret each: for the kill.
pub(crate) fn crowd() -> impl Iterator<Item = (String, String, Reads)> {
    (0..40).map(|at| {
        (
            format!("crowd-{at:02}"),
            format!("/demo/crowd/{at:02}"),
            KEY,
        )
    })
}

/// A cluster with its stand-in ESO and two consumers.
pub(crate) struct Site {
    pub(crate) cluster: Cluster,
    _controllers: Controllers,
    pub(crate) consumers: Vec<Daemon>,
}

impl Site {
    pub(crate) async fn start(name: &str, kind: KubernetesKind, hub: &Hub) -> anyhow::Result<Self> {
        let cluster = Cluster::of_kind(name, kind).await?;
        let client = cluster.client();
        let one = |((name, key), reads): (Part, Reads)| (name.to_owned(), key.to_owned(), reads);
        let few = PARTS.into_iter().chain([(WEB, KEY)]).map(one);
        let all: Vec<_> = few.chain(crowd()).collect();
        for (_, key, _) in &all {
            cluster.values.set(key, "first");
        }
        create_namespace(client, NAMESPACE).await?;
        let stores = ["store", "other-store"].map(|name| store(name).in_namespace(NAMESPACE));
        let stores = stores.into_iter().chain([cluster_store(NAMESPACE)]);
        create_all(client, stores.map(StoreBuilder::akeyless), 1).await?;
        let objects = all.iter().map(|(name, key, reads)| {
            let object = external_secret(name).in_namespace(NAMESPACE);
            reads(object.from_store("store"), key)
        });
        create_all(client, objects, 16).await?;
        let deployment = Workload::deployment(NAMESPACE, WEB.0).reads_secret(WEB.0);
        deployment.restart().create(client).await?;
        let (what, slowly) = match kind {
            KubernetesKind::StandIn => ("stand-in API", ""),
            KubernetesKind::Real => ("kube-apiserver", "refresh: { rate: 10.0 }\n"),
        };
        let settings = format!("{slowly}restart: {{ enabled: true, gather: 1s }}\n");
        let consumer = cluster.consumer(hub, &settings);
        let mut site = Self {
            _controllers: Controllers::builder().start(client),
            cluster,
            consumers: Vec::new(),
        };
        for _ in 0..2 {
            let mut consumer = consumer.clone().start().await?;
            consumer.wait_ready(READY).await?;
            site.consumers.push(consumer);
        }
        for (object, ..) in &all {
            let what = format!("the first value of {object} in {name}");
            wait::until_ok(what, READY, || site.holds(object, "first")).await?;
        }
        let count = all.len();
        say!("{name}      {what}, stand-in ESO, {count} ExternalSecrets, 2 consumers");
        Ok(site)
    }

    /// Whether the Secret of this ExternalSecret has `value` under any of its keys.
    pub(crate) async fn holds(&self, name: &str, value: &str) -> anyhow::Result<()> {
        let secrets = objects(self.cluster.client(), Kind::Secret, Some(NAMESPACE));
        let secret = secrets.get_opt(name).await?.context("there is none yet")?;
        let wanted = BASE64_STANDARD.encode(value);
        let data = secret.data["data"].as_object().into_iter().flatten();
        let found = data.map(|(_, value)| value).any(|it| *it == wanted);
        ensure!(found, "Secret {name} holds another value");
        Ok(())
    }

    pub(crate) async fn has_all(&self, what: &str, all: &[(String, String)]) -> anyhow::Result<()> {
        let held = async || {
            for (name, value) in all {
                self.holds(name, value).await?;
            }
            Ok(())
        };
        let claim = format!("{what} are in the Secrets of {}", self.cluster.name());
        check(claim, held).await
    }

    /// How often [`WEB`] was restarted.
    pub(crate) async fn restarts(&self) -> anyhow::Result<Option<String>> {
        let marks = marks(self.cluster.client(), Kind::Deployment, NAMESPACE, WEB.0);
        Ok(marks.await?.remove(RESTARTS))
    }

    /// What those of [`AWAY`] were refreshed for last.
    pub(crate) async fn refreshes(&self) -> Vec<Option<String>> {
        join_all(AWAY.map(|(name, _)| self.cluster.refresh_of(NAMESPACE, name))).await
    }
}
