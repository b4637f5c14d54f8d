//! Patches per second when so many keys change at once, from the first webhook to the last patch ÷ a
//! loop of patches with as many connections on the same API.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use eso_relay_consumer::config::RefreshConfig;
use eso_relay_lab::{
    cluster::{Kind, REFRESH, create_all, objects as api_of, store},
    daemon::{Daemon, DaemonOptions},
    installation::{Hub, READY},
    kubernetes_api::KubernetesApi,
    standin::{StandIn, Verb},
};
use futures::{TryStreamExt as _, stream};
use kube::{
    api::{Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use tokio::time::sleep;

use super::{
    Kubernetes, Scale, child,
    events::{NAMESPACE, STORE, large_webhook, name, object},
    http::{Webhook, address, send_all},
    progress,
    report::{Goal, Measure, Unit},
    rounds::{alternate, rate},
};

const EVENTS_PER_WEBHOOK: usize = 100;
const WEBHOOKS_AT_ONCE: usize = 8;

pub(crate) async fn measure(
    scale: Scale,
    kubernetes: Option<Kubernetes>,
) -> anyhow::Result<Vec<Measure>> {
    let mut measures = Vec::new();
    if kubernetes != Some(Kubernetes::Real) {
        for objects in [500, 5000] {
            let api = Api::StandIn(StandIn::start().await?);
            measures.push(burst(scale, &api, objects).await?);
        }
    }
    let asked = kubernetes == Some(Kubernetes::Real);
    if asked || kubernetes.is_none() && KubernetesApi::is_at_hand() {
        for objects in scale.pick(vec![500, 5000], vec![100]) {
            progress("burst: starting a real API");
            let api = Api::Real(Box::new(KubernetesApi::start().await?));
            measures.push(burst(scale, &api, objects).await?);
        }
    }
    Ok(measures)
}

async fn burst(scale: Scale, api: &Api, objects: usize) -> anyhow::Result<Measure> {
    let what = format!("burst: {objects} patches, {} ÷ raw loop", api.name());
    progress(&format!("{what}: creating the objects"));
    api.create(objects).await?;
    let hub = Hub::start().await?;
    hub.init(&["load"]).await?;
    let mut ingress = hub.ingress().start().await?;
    ingress.wait_ready(READY).await?;
    let address = address(&ingress.url())?;
    let dir = tempfile::tempdir()?;
    let kubeconfig = api.kubeconfig(dir.path())?;
    let (mut ours, mut raw) = (0, 0);
    let rounds = alternate(
        &what,
        api.rounds(scale, objects),
        async || {
            ours += 1;
            let webhooks = webhooks(&format!("burst-{ours}"), objects);
            let mut consumer = consumer(&hub, &kubeconfig).start().await?;
            consumer.wait_ready(READY).await?;
            let before = api.patched(&consumer).await?;
            let started = Instant::now();
            send_all(address, &webhooks, WEBHOOKS_AT_ONCE).await?;
            while api.patched(&consumer).await? < before + objects {
                ensure!(started.elapsed() < 5 * READY, "{}", consumer.logs());
                sleep(api.look()).await;
            }
            let took = started.elapsed();
            consumer.terminate()?;
            consumer.wait_exit(READY).await?;
            Ok(rate(objects, took))
        },
        async || {
            raw += 1;
            let kubeconfig = kubeconfig.display().to_string();
            let (round, objects) = (format!("raw-{raw}"), objects.to_string());
            child::figure(&["patch-loop", &kubeconfig, &round, &objects]).await
        },
    );
    Ok(Measure::ratio(
        what.clone(),
        Unit::PerSecond,
        &rounds.await?,
        Goal::AtLeast(0.8),
    ))
}

/// A consumer of the cluster `load` with the defaults.
pub(crate) fn consumer(hub: &Hub, kubeconfig: &Path) -> DaemonOptions {
    let yaml = format!("cluster: load\nnats: {{ url: '{}' }}\n", hub.nats.url());
    Daemon::consumer().config(yaml).kubeconfig(kubeconfig)
}

/// An event for each object.
pub(crate) fn webhooks(round: &str, objects: usize) -> Arc<[Webhook]> {
    (0..objects)
        .step_by(EVENTS_PER_WEBHOOK)
        .map(|first| large_webhook(round, first..(first + EVENTS_PER_WEBHOOK).min(objects)))
        .collect()
}

enum Api {
    StandIn(StandIn),
    Real(Box<KubernetesApi>),
}

impl Api {
    fn name(&self) -> &'static str {
        match self {
            Self::StandIn(_) => "stand-in",
            Self::Real(_) => "kube-apiserver",
        }
    }

    async fn create(&self, objects: usize) -> anyhow::Result<()> {
        let store = store(STORE).in_namespace(NAMESPACE).akeyless();
        let objects = (0..objects).map(object);
        match self {
            Self::StandIn(api) => {
                api.load([store]);
                api.load(objects);
            }
            Self::Real(api) => {
                store.create(&api.client()).await?;
                create_all(&api.client(), objects, 16).await?;
            }
        }
        Ok(())
    }

    fn kubeconfig(&self, dir: &Path) -> std::io::Result<std::path::PathBuf> {
        match self {
            Self::StandIn(api) => api.kubeconfig(dir),
            Self::Real(api) => Ok(api.kubeconfig()),
        }
    }

    /// How many patches have succeeded: by the API's count, else by the consumer's.
    async fn patched(&self, consumer: &Daemon) -> anyhow::Result<usize> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of patches"
        )]
        Ok(match self {
            Self::StandIn(api) => {
                let count = api
                    .requests()
                    .count_of(Verb::Patch, Kind::ExternalSecret, 200);
                usize::try_from(count)?
            }
            Self::Real(_) => {
                // Before the first patch there is no such metric.
                let metrics = consumer.metrics().await?;
                let done = metrics.sum("eso_relay_consumer_patches_total", &[("result", "done")]);
                done.unwrap_or_default() as usize
            }
        })
    }

    /// How often to ask for that: seldom enough to cost nothing.
    fn look(&self) -> Duration {
        match self {
            Self::StandIn(_) => Duration::from_millis(1),
            Self::Real(_) => Duration::from_millis(10),
        }
    }

    fn rounds(&self, scale: Scale, objects: usize) -> usize {
        match self {
            Self::Real(_) if objects > 1000 => 3,
            Self::StandIn(_) | Self::Real(_) => scale.pick(5, 2),
        }
    }
}

/// The same patch as the consumer's, one for each object, and nothing else.
pub(crate) async fn patch_loop(
    kubeconfig: &Path,
    round: &str,
    objects: usize,
) -> anyhow::Result<f64> {
    eso_relay::nats::install_crypto();
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    config.default_retry = false;
    let client = kube::Client::try_from(config)?;
    let api = &api_of(&client, Kind::ExternalSecret, Some(NAMESPACE));
    let params = &PatchParams {
        field_manager: Some("eso-relay-load".to_owned()),
        ..PatchParams::default()
    };
    let patch = &Patch::Merge(json!({ "metadata": { "annotations": { REFRESH: round } } }));
    let connections = RefreshConfig::default().concurrency;
    let started = Instant::now();
    stream::iter((0..objects).map(anyhow::Ok))
        .try_for_each_concurrent(connections, async |number| {
            api.patch_metadata(&name(number), params, patch).await?;
            Ok(())
        })
        .await?;
    Ok(rate(objects, started.elapsed()))
}
