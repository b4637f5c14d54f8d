//! The most memory that a consumer takes while it lists everything anew, because the API has forgotten
//! where its watch was ÷ what it took before.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use eso_relay_lab::{
    cluster::Kind,
    daemon::Daemon,
    fleet::Fleet,
    installation::{Hub, READY},
    standin::{StandIn, Verb},
};
use tokio::time::sleep;

use super::{
    Scale, burst,
    memory::status,
    progress,
    report::{Goal, Measure, Unit},
    rounds::Rounds,
};

const LOOK: Duration = Duration::from_millis(10);
/// From the last page to the end of the worker's work on it.
const SETTLED: Duration = Duration::from_millis(500);

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let fleet = Fleet(scale.pick(100_000, 10_000));
    progress("relist: creating the objects");
    let api = StandIn::start().await?;
    api.load(fleet.fixtures());
    let hub = Hub::start().await?;
    hub.init(&["load"]).await?;
    let dir = tempfile::tempdir()?;
    let kubeconfig = api.kubeconfig(dir.path())?;
    let mut consumer = burst::consumer(&hub, &kubeconfig).start().await?;
    consumer.wait_ready(READY).await?;
    sleep(SETTLED).await;
    let mut rounds = Rounds::default();
    let mut first = 0.0;
    for round in 1..=scale.pick(5, 2) {
        let before = memory(&consumer, "VmRSS:")?;
        if round == 1 {
            first = memory(&consumer, "VmHWM:")?;
        }
        forget_peak(&consumer)?;
        list_anew(&api, &consumer).await?;
        let peak = memory(&consumer, "VmHWM:")?;
        progress(&format!("relist: {before:.1} MiB, then {peak:.1}"));
        rounds.ours.push(peak);
        rounds.floor.push(before);
    }
    let objects = fleet.0;
    Ok(vec![
        Measure::value(
            format!("relist: consumer, first sync of {objects}"),
            Unit::Mebibytes,
            first,
            None,
        ),
        Measure::ratio(
            format!("relist: {objects} anew, peak ÷ before"),
            Unit::Mebibytes,
            &rounds,
            Goal::AtMost(1.3),
        ),
    ])
}

/// Open watches end with 410, and old versions are answered with it.
async fn list_anew(api: &StandIn, consumer: &Daemon) -> anyhow::Result<()> {
    let requests = api.requests();
    let watches = || requests.count_of(Verb::Watch, Kind::ExternalSecret, 200);
    let (lists, before) = (
        requests.count_of(Verb::List, Kind::ExternalSecret, 200),
        watches(),
    );
    api.expire_watches();
    let started = Instant::now();
    while watches() == before {
        ensure!(started.elapsed() < READY, "{}", consumer.logs());
        sleep(LOOK).await;
    }
    let listed = requests.count_of(Verb::List, Kind::ExternalSecret, 200);
    ensure!(listed > lists, "nothing was listed");
    sleep(SETTLED).await;
    Ok(())
}

fn memory(consumer: &Daemon, field: &str) -> anyhow::Result<f64> {
    Ok(status(&consumer.id().to_string(), field)? / 1024.0)
}

/// From now on `VmHWM` is the most since now (proc(5), `clear_refs`).
fn forget_peak(consumer: &Daemon) -> anyhow::Result<()> {
    let path = format!("/proc/{}/clear_refs", consumer.id());
    std::fs::write(path, "5").context("memory is measured on Linux only")
}
