//! Patches per second when so many keys change at once, from the first webhook to the last patch ÷ a
//! loop of patches with as many connections on the same API.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::ensure;
use eso_relay_consumer::config::RefreshConfig;
use eso_relay_lab::{
    cluster::{Kind, REFRESH, create_all, objects as api_of},
    daemon::Daemon,
    fleet::name,
    installation::{Hub, KubernetesKind, READY},
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
    Scale,
    http::send_all,
    progress,
    report::{Measure, Unit, rate, rounds},
    rig::{self, NAMESPACE, figure, objects, webhooks},
};

pub(crate) const WEBHOOKS_AT_ONCE: usize = 8;

pub(crate) async fn measure(
    scale: Scale,
    kubernetes: Option<KubernetesKind>,
) -> anyhow::Result<Vec<Measure>> {
    let mut measures = Vec::new();
    if kubernetes != Some(KubernetesKind::Real) {
        for objects in [500, 5000] {
            let (api, dir) = (StandIn::start().await?, tempfile::tempdir()?);
            let (client, kubeconfig) = (api.client(), api.kubeconfig(dir.path())?);
            measures.push(burst(scale, Some(&api), &client, kubeconfig, objects).await?);
        }
    }
    let asked = kubernetes == Some(KubernetesKind::Real);
    if asked || kubernetes.is_none() && KubernetesApi::is_at_hand() {
        for objects in scale.pick(vec![500, 5000], vec![100]) {
            progress("burst: starting a real API");
            let api = KubernetesApi::start().await?;
            measures.push(burst(scale, None, &api.client(), api.kubeconfig(), objects).await?);
        }
    }
    Ok(measures)
}

/// On this stand-in, else on a real API.
async fn burst(
    scale: Scale,
    stand_in: Option<&StandIn>,
    client: &kube::Client,
    kubeconfig: PathBuf,
    count: usize,
) -> anyhow::Result<Measure> {
    // How often to ask for the patches: seldom enough to cost nothing.
    let (name, look) = match stand_in {
        Some(_) => ("stand-in", Duration::from_millis(1)),
        None => ("kube-apiserver", Duration::from_millis(10)),
    };
    let count_of_rounds = match stand_in {
        None if count > 1000 => 3,
        _ => scale.pick(5, 2),
    };
    let what = format!("burst: {count} patches, {name} ÷ raw loop");
    progress(&format!("{what}: creating the objects"));
    create_all(client, objects(0..count), 16).await?;
    let hub = Hub::start().await?;
    hub.init(&["load"]).await?;
    let (_ingress, address) = rig::ingress(&hub, "").await?;
    let one = async |round: usize| {
        let webhooks = webhooks(&format!("burst-{round}"), count);
        let consumer = rig::consumer(&hub, kubeconfig.clone(), "").await?;
        let before = patched(stand_in, &consumer).await?;
        let started = Instant::now();
        send_all(address, &webhooks, WEBHOOKS_AT_ONCE).await?;
        while patched(stand_in, &consumer).await? < before + count as u64 {
            ensure!(started.elapsed() < 5 * READY, "{}", consumer.logs());
            sleep(look).await;
        }
        let ours = rate(count, started.elapsed());
        rig::stop(consumer).await?;
        let kubeconfig = kubeconfig.display().to_string();
        let (round, objects) = (format!("raw-{round}"), count.to_string());
        let raw = figure(&["patch-loop", &kubeconfig, &round, &objects]).await?;
        Ok([(ours, raw)])
    };
    let [rounds] = rounds(&what, count_of_rounds, one).await?;
    Ok(Measure::ratio(what, Unit::PerSecond, &rounds).at_least(0.8))
}

/// How many patches have succeeded: by the stand-in's count, else by the consumer's.
async fn patched(stand_in: Option<&StandIn>, consumer: &Daemon) -> anyhow::Result<u64> {
    if let Some(api) = stand_in {
        return Ok(api
            .requests()
            .count_of(Verb::Patch, Kind::ExternalSecret, 200));
    }
    // Before the first patch there is no such metric.
    let metric = consumer.count("eso_relay_consumer_patches_total", &[("result", "done")]);
    Ok(metric.await.unwrap_or_default())
}

/// The same patch as the consumer's, one for each object, and nothing else.
pub(crate) async fn patch_loop(
    kubeconfig: &Path,
    round: &str,
    objects: usize,
) -> anyhow::Result<f64> {
    let client = client(kubeconfig).await?;
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

/// Without hidden retries.
pub(crate) async fn client(kubeconfig: &Path) -> anyhow::Result<kube::Client> {
    eso_relay::nats::install_crypto();
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    config.default_retry = false;
    Ok(kube::Client::try_from(config)?)
}
