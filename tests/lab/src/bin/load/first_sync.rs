//! From the start of a consumer's process until its index is complete ÷ a raw LIST of the same objects
//! in the same pages, each in a process of its own. And the most memory that the consumer takes while it
//! lists everything once more, because the API has forgotten the version of its watch ÷ what it took before.
//! And the first sync of a consumer that restarts workloads, of which it lists some as well ÷ of one that does not.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use eso_relay_lab::{
    cluster::{Kind, objects},
    daemon::Daemon,
    fleet::Fleet,
    installation::READY,
    standin::{StandIn, Verb},
    wait,
};
use kube::{
    Api,
    api::ListParams,
    core::{DynamicObject, ListMeta},
};
use serde::Deserialize;
use tokio::time::sleep;

use super::{
    Scale, burst, progress,
    report::{Measure, Rounds, Unit, milliseconds, rounds},
    rig::{self, Rig, figure, resident},
};

/// Workloads that follow what ESO writes.
const FOLLOWERS: usize = 5000;
/// As kube's watcher asks for.
const PAGE: u32 = 500;
/// From the last page to the end of the worker's work on it.
const SETTLED: Duration = Duration::from_millis(500);

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let fleet = Fleet(scale.pick(100_000, 10_000));
    progress("first-sync: creating the objects");
    let rig = Rig::start(fleet.fixtures().chain(Fleet::followers(FOLLOWERS))).await?;
    let what = format!("first sync: {} objects", fleet.0);
    let sync = async |settings| {
        let started = Instant::now();
        let consumer = rig.consumer_with(settings).await?;
        consumer.wait_log("the index is complete", READY).await?;
        let took = milliseconds(started.elapsed());
        rig::stop(consumer).await?;
        anyhow::Ok(took)
    };
    let one = async |_| {
        let (ours, followed) = (sync("").await?, sync("restart: { enabled: true }\n").await?);
        let (kubeconfig, objects) = (rig.kubeconfig()?, fleet.0.to_string());
        let kubeconfig = kubeconfig.display().to_string();
        let list = async |how| figure(&["raw-list", &kubeconfig, &objects, how]).await;
        let (unread, read) = (list("unread").await?, list("read").await?);
        Ok([(ours, read), (ours, unread), (followed, ours)])
    };
    let [read, unread, followed] = rounds(&what, scale.pick(5, 1), one).await?;

    let consumer = rig.consumer().await?;
    sleep(SETTLED).await;
    let mut memory = Rounds::default();
    for round in 1..=scale.pick(5, 2) {
        progress(&format!("relist: round {round}"));
        let before = resident(&consumer, "VmRSS:")?;
        forget_peak(&consumer)?;
        relist(&rig.api).await?;
        memory.push(resident(&consumer, "VmHWM:")?, before);
    }
    let unread_list = format!("{what} ÷ raw LIST, objects unread");
    let with = format!("{what} and {FOLLOWERS} workloads ÷ without");
    let relist = format!("relist: {} objects, peak ÷ before", fleet.0);
    Ok(vec![
        Measure::ratio(format!("{what} ÷ raw LIST"), Unit::Milliseconds, &read).at_most(1.5),
        Measure::ratio(unread_list, Unit::Milliseconds, &unread),
        Measure::ratio(with, Unit::Milliseconds, &followed).at_most(1.1),
        Measure::ratio(relist, Unit::Mebibytes, &memory).at_most(1.3),
    ])
}

/// Open watches end with 410, and old versions are answered with it.
async fn relist(api: &StandIn) -> anyhow::Result<()> {
    let count = |verb| api.requests().count_of(verb, Kind::ExternalSecret, 200);
    let (lists, watches) = (count(Verb::List), count(Verb::Watch));
    api.expire_watches();
    let again = async || (count(Verb::Watch) > watches).then_some(());
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
    let client = burst::client(kubeconfig).await?;
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
    let took = started.elapsed();
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
