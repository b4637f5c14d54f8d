//! From the start of a consumer's process until its index is complete ÷ a raw LIST of the same objects
//! in the same pages, each in a process of its own. And the most memory that the consumer takes while it
//! lists everything once more, because the API has forgotten the version of its watch ÷ what it took before.

use std::{
    future::ready,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use eso_relay_lab::{
    cluster::{Kind, objects},
    daemon::Daemon,
    fleet::Fleet,
    installation::{Hub, READY},
    standin::{StandIn, Verb},
    wait,
};
use kube::{
    Api,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
    core::{DynamicObject, ListMeta},
};
use serde::Deserialize;
use tokio::time::sleep;

use super::{
    Scale, burst, child,
    latency::milliseconds,
    memory::resident,
    progress,
    report::{Goal, Measure, Unit},
    rounds::{Rounds, alternate},
};

/// As kube's watcher asks for.
const PAGE: u32 = 500;
/// From the last page to the end of the worker's work on it.
const SETTLED: Duration = Duration::from_millis(500);

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let fleet = Fleet(scale.pick(100_000, 10_000));
    progress("first-sync: creating the objects");
    let api = StandIn::start().await?;
    api.load(fleet.fixtures());
    let hub = Hub::start().await?;
    hub.init(&["load"]).await?;
    let dir = tempfile::tempdir()?;
    let kubeconfig = api.kubeconfig(dir.path())?;
    let mut unread = Vec::new();
    let what = format!("first sync: {} objects", fleet.0);
    let rounds = alternate(
        &what,
        scale.pick(5, 1),
        async || {
            let started = Instant::now();
            let mut consumer = burst::consumer(&hub, &kubeconfig).start().await?;
            consumer.wait_ready(READY).await?;
            wait::until("the index", READY, || {
                let complete = consumer.logs().contains("the index is complete");
                ready(complete.then_some(()))
            })
            .await?;
            let took = started.elapsed();
            consumer.terminate()?;
            consumer.wait_exit(READY).await?;
            Ok(milliseconds(took))
        },
        async || {
            let kubeconfig = kubeconfig.display().to_string();
            let objects = fleet.0.to_string();
            let list = async |how| child::figure(&["raw-list", &kubeconfig, &objects, how]).await;
            unread.push(list("unread").await?);
            list("read").await
        },
    );
    let read = rounds.await?;
    let unread = Rounds {
        ours: read.ours.clone(),
        // The first round warmed up.
        floor: unread.split_off(1),
    };
    let measure = |floor, rounds, goal| {
        let what = format!("{what} ÷ {floor}");
        Measure::ratio(what, Unit::Milliseconds, rounds, goal)
    };
    let mut consumer = burst::consumer(&hub, &kubeconfig).start().await?;
    consumer.wait_ready(READY).await?;
    sleep(SETTLED).await;
    let mut memory = Rounds::default();
    for round in 1..=scale.pick(5, 2) {
        progress(&format!("relist: round {round}"));
        let before = resident(&consumer, "VmRSS:")?;
        forget_peak(&consumer)?;
        relist(&api).await?;
        memory.push(resident(&consumer, "VmHWM:")?, before);
    }
    Ok(vec![
        measure("raw LIST", &read, Some(Goal::AtMost(1.5))),
        measure("raw LIST, objects unread", &unread, None),
        Measure::ratio(
            format!("relist: {} objects, peak ÷ before", fleet.0),
            Unit::Mebibytes,
            &memory,
            Goal::AtMost(1.3),
        ),
    ])
}

/// Open watches end with 410, and old versions are answered with it.
async fn relist(api: &StandIn) -> anyhow::Result<()> {
    let count = |verb| api.requests().count_of(verb, Kind::ExternalSecret, 200);
    let (lists, watches) = (count(Verb::List), count(Verb::Watch));
    api.expire_watches();
    let again = || ready((count(Verb::Watch) > watches).then_some(()));
    wait::until("another watch", READY, again).await?;
    ensure!(count(Verb::List) > lists, "nothing was listed");
    sleep(SETTLED).await;
    Ok(())
}

/// From now on `VmHWM` is the most since now (proc(5), `clear_refs`).
fn forget_peak(consumer: &Daemon) -> anyhow::Result<()> {
    let path = format!("/proc/{}/clear_refs", consumer.id());
    std::fs::write(path, "5").context("memory is measured on Linux only")
}

/// Lists all ExternalSecrets; how long that took, in milliseconds.
pub(crate) async fn raw_list(kubeconfig: &Path, expected: usize, how: &str) -> anyhow::Result<f64> {
    eso_relay::nats::install_crypto();
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    let client = kube::Client::try_from(config)?;
    let api = objects(&client, Kind::ExternalSecret, None);
    let mut params = ListParams::default().limit(PAGE);
    let started = Instant::now();
    let mut pages = 0;
    loop {
        let metadata = match how {
            "read" => api.list(&params).await?.metadata,
            _ => page(&client, &api, &params).await?,
        };
        pages += 1;
        match metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    let took: Duration = started.elapsed();
    ensure!(pages == expected.div_ceil(PAGE as usize), "{pages} pages");
    Ok(milliseconds(took))
}

/// A page whose objects are scanned for their end and for nothing else.
async fn page(
    client: &kube::Client,
    api: &Api<DynamicObject>,
    params: &ListParams,
) -> anyhow::Result<ListMeta> {
    #[derive(Deserialize)]
    struct Page {
        metadata: ListMeta,
    }
    let request = kube::core::Request::new(api.resource_url()).list(params)?;
    let page: Page = client.request(request).await?;
    Ok(page.metadata)
}
