//! What an ExternalSecret takes in the index, and the most that each daemon took at its work.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use eso_relay_lab::{
    cluster::{Kind, store},
    daemon::Daemon,
    fleet::Fleet,
    installation::{Hub, READY},
    standin::{StandIn, Verb},
};
use tokio::time::{interval, sleep};

use super::{
    Scale, burst, child,
    events::{NAMESPACE, STORE, object, webhook},
    http::{Connection, address, load, send_all},
    ingress, progress,
    report::{Goal, Measure, Unit},
};

const INDEXED: usize = 100_000;
const OBJECTS: usize = 5000;

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    progress("memory: an index of 100,000");
    let per_object = child::figure(&["index-memory", &INDEXED.to_string()]).await?;
    let hub = Hub::start().await?;
    hub.init(&["load"]).await?;
    progress("memory: an ingress at full load");
    let ingress = ingress_at_full_load(&hub, scale).await?;
    progress("memory: a consumer of 5,000");
    let consumer = consumer_at_work(&hub).await?;
    let connections = scale.pick(10_000, 1000);
    progress("memory: an ingress with idle connections");
    let idle = ingress_with_idle(&hub, connections).await?;
    let peak =
        |what: &str, peak, goal| Measure::value(what, Unit::Mebibytes, peak, Goal::AtMost(goal));
    Ok(vec![
        Measure::value(
            "memory: one ExternalSecret of 100,000 in the index",
            Unit::Bytes,
            per_object,
            Goal::AtMost(1024.0),
        ),
        peak("memory: consumer, after a burst on 5,000", consumer, 40.0),
        peak(
            "memory: ingress, 256 connections at full load",
            ingress,
            30.0,
        ),
        peak(
            &format!("memory: ingress, {connections} idle connections, each used once"),
            idle,
            64.0,
        ),
    ])
}

async fn ingress_at_full_load(hub: &Hub, scale: Scale) -> anyhow::Result<f64> {
    let mut daemon = hub.ingress().start().await?;
    daemon.wait_ready(READY).await?;
    let time = scale.pick(Duration::from_secs(15), Duration::from_secs(2));
    load(address(&daemon.url())?, &ingress::webhooks(), time).await?;
    resident(&daemon, "VmHWM:")
}

/// After the listing of all objects, a refresh of each of them, and what the ingress above has sent.
async fn consumer_at_work(hub: &Hub) -> anyhow::Result<f64> {
    let api = StandIn::start().await?;
    api.load([store(STORE).in_namespace(NAMESPACE).akeyless()]);
    api.load((0..OBJECTS).map(object));
    let dir = tempfile::tempdir()?;
    let mut consumer = burst::consumer(hub, &api.kubeconfig(dir.path())?)
        .start()
        .await?;
    let mut ingress = hub.ingress().start().await?;
    consumer.wait_ready(READY).await?;
    ingress.wait_ready(READY).await?;
    let webhooks = burst::webhooks("memory", OBJECTS);
    send_all(address(&ingress.url())?, &webhooks, 8).await?;
    let patched = || {
        let patches = api.requests();
        patches.count_of(Verb::Patch, Kind::ExternalSecret, 200)
    };
    let started = Instant::now();
    while patched() < OBJECTS as u64 {
        ensure!(started.elapsed() < READY, "{}", consumer.logs());
        sleep(Duration::from_millis(10)).await;
    }
    resident(&consumer, "VmHWM:")
}

/// With as many idle connections as load balancers keep.
async fn ingress_with_idle(hub: &Hub, connections: usize) -> anyhow::Result<f64> {
    /// Within this time idle connections give their buffers back.
    const PARKED: Duration = Duration::from_secs(5);
    let bounds = format!("max_connections: {connections}\nmax_connections_per_peer: {connections}");
    let mut ingress = hub.ingress_with(&bounds).start().await?;
    ingress.wait_ready(READY).await?;
    let (address, webhook) = (address(&ingress.url())?, webhook("load", 1));
    let mut open = Vec::with_capacity(connections);
    // A thousand a second: no more of them are at work at once than otherwise.
    let mut ticks = interval(Duration::from_millis(1));
    for _ in 0..connections {
        ticks.tick().await;
        let mut connection = Connection::open(address).await?;
        connection.send(&webhook).await?;
        open.push(connection);
    }
    sleep(PARKED).await;
    let idle = resident(&ingress, "VmRSS:")?;
    // They are still there.
    for connection in open.iter_mut().step_by(100) {
        connection.send(&webhook).await?;
    }
    Ok(idle)
}

/// Resident memory of a daemon in MiB: `VmRSS:` now, `VmHWM:` the most that it ever had.
pub(crate) fn resident(daemon: &Daemon, field: &str) -> anyhow::Result<f64> {
    Ok(status(&daemon.id().to_string(), field)? / 1024.0)
}

/// Resident bytes per object, in this process, which has done nothing else yet.
pub(crate) fn per_object(objects: usize) -> anyhow::Result<f64> {
    let before = status("self", "VmRSS:")?;
    let index = black_box(Fleet(objects).index());
    let after = status("self", "VmRSS:")?;
    ensure!(index.stats().objects == objects, "{:?}", index.stats());
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok((after - before) * 1024.0 / objects as f64)
}

/// A line of `/proc/PID/status`, in KiB.
fn status(process: &str, field: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{process}/status");
    let text = std::fs::read_to_string(&path).context("memory is measured on Linux only")?;
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    let value = value.and_then(|value| value.trim().strip_suffix(" kB"));
    Ok(value
        .with_context(|| format!("no {field} in {path}"))?
        .trim()
        .parse()?)
}
