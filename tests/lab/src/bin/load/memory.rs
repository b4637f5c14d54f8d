//! What an ExternalSecret and a workload take in the index, and the most that each daemon took at its work.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::ensure;
use eso_relay_consumer::matching::index::Change;
use eso_relay_lab::{
    fleet::{self, Fleet},
    installation::READY,
};
use tokio::time::{interval, sleep};

use super::{
    Scale,
    burst::WEBHOOKS_AT_ONCE,
    http::{Connection, load, send_all},
    ingress, progress,
    report::{Measure, Unit},
    rig::{self, Rig, figure, objects, resident, status, webhook, webhooks},
};

const INDEXED: usize = 100_000;
const OBJECTS: usize = 5000;

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    progress("memory: an index of 100,000");
    let indexed = INDEXED.to_string();
    let per_object = figure(&["index-memory", &indexed, "0"]).await?;
    // As many as objects: a few fit into what the allocator has left over.
    let per_workload = figure(&["index-memory", &indexed, &indexed]).await?;
    let rig = Rig::start(objects(0..OBJECTS)).await?;
    progress("memory: an ingress at full load");
    let ingress = ingress_at_full_load(&rig, scale).await?;
    progress("memory: a consumer of 5,000");
    let consumer = consumer_at_work(&rig).await?;
    let connections = scale.pick(10_000, 1000);
    progress("memory: an ingress with idle connections");
    let idle = ingress_with_idle(&rig, connections).await?;
    let peak = Unit::Mebibytes;
    let idle_row = format!("memory: ingress, {connections} idle connections, each used once");
    Ok(vec![
        Measure::value(
            "memory: one ExternalSecret of 100,000 in the index",
            Unit::Bytes,
            per_object,
        )
        .at_most(1024.0),
        Measure::value(
            "memory: one workload of 100,000 in the same index",
            Unit::Bytes,
            per_workload,
        )
        .at_most(1024.0),
        Measure::value("memory: consumer, after a burst on 5,000", peak, consumer).at_most(40.0),
        Measure::value(
            "memory: ingress, 256 connections at full load",
            peak,
            ingress,
        )
        .at_most(30.0),
        Measure::value(idle_row, peak, idle).at_most(64.0),
    ])
}

async fn ingress_at_full_load(rig: &Rig, scale: Scale) -> anyhow::Result<f64> {
    let (ingress, address) = rig::ingress(&rig.hub, "").await?;
    let time = scale.pick(Duration::from_secs(15), Duration::from_secs(2));
    load(address, &ingress::webhooks(), time).await?;
    resident(&ingress, "VmHWM:")
}

/// After the listing of all objects, a refresh of each of them, and what the ingress above has sent.
async fn consumer_at_work(rig: &Rig) -> anyhow::Result<f64> {
    let consumer = rig.consumer().await?;
    let (_ingress, address) = rig::ingress(&rig.hub, "").await?;
    send_all(address, &webhooks("memory", OBJECTS), WEBHOOKS_AT_ONCE).await?;
    let started = Instant::now();
    while rig.patches() < OBJECTS as u64 {
        ensure!(started.elapsed() < READY, "{}", consumer.logs());
        sleep(Duration::from_millis(10)).await;
    }
    resident(&consumer, "VmHWM:")
}

/// With as many idle connections as load balancers keep.
async fn ingress_with_idle(rig: &Rig, connections: usize) -> anyhow::Result<f64> {
    /// Within this time idle connections give their buffers back.
    const PARKED: Duration = Duration::from_secs(5);
    let bounds = format!("max_connections: {connections}\nmax_connections_per_peer: {connections}");
    let (ingress, address) = rig::ingress(&rig.hub, &bounds).await?;
    let webhook = webhook("load", 1);
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

/// Resident bytes per object, or where workloads follow some of them per workload, in this process, which has done
/// nothing else yet.
pub(crate) fn indexed(objects: usize, workloads: usize) -> anyhow::Result<f64> {
    let resident = || status("self", "VmRSS:");
    let empty = resident()?;
    let mut index = black_box(Fleet(objects).index());
    let filled = resident()?;
    for number in 0..workloads {
        index.apply(Change::WorkloadApplied(fleet::follower(number)));
    }
    let followed = resident()?;
    let found = index.stats();
    ensure!(
        (found.objects, found.workloads) == (objects, workloads),
        "{found:?}"
    );
    let (kibibytes, count) = match workloads {
        0 => (filled - empty, objects),
        workloads => (followed - filled, workloads),
    };
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok(kibibytes * 1024.0 / count as f64)
}
