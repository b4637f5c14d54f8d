//! The two lanes beside an ESO of 1 and of 10 workers that take 100 ms for each sync, with 5,000 objects
//! to refresh: syncs per second ÷ those of an ESO that has all of them in its queue; and how long an exact
//! refresh takes amid them ÷ how long it takes alone.
//!
//! 10 workers would be at work for 50 s and 1 for 500: what is measured is the beginning.

use std::time::Duration;

use eso_relay_lab::fleet::{self, Fleet};
use tokio::time::sleep;

use super::{
    Scale,
    flow::Flow,
    latency::milliseconds,
    progress,
    report::{Goal, Measure, Unit},
    rounds::{Rounds, median, rate},
};

const SYNC: Duration = Duration::from_millis(100);
const MASS: usize = 5000;
/// In a namespace of their own.
const URGENT: usize = 50;
/// Before each sample, and not in step with ESO.
const PAUSE: Duration = Duration::from_millis(270);

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let mut measures = Vec::new();
    for (workers, syncs) in scale.pick([(1, 300), (10, 2000)], [(1, 40), (10, 400)]) {
        measures.extend(beside(scale, workers, syncs).await?);
    }
    Ok(measures)
}

async fn beside(scale: Scale, workers: usize, syncs: usize) -> anyhow::Result<Vec<Measure>> {
    let what = format!("lanes: {workers} × 100 ms");
    let (mut throughput, mut latency) = (Rounds::default(), Rounds::default());
    for round in 1..=scale.pick(3, 1) {
        progress(&format!("{what}: round {round}, in two lanes"));
        let flow = start(workers).await?;
        let mut alone = Vec::new();
        for sample in 0..scale.pick(10, 3) {
            alone.push(urgent(&flow, sample).await?);
        }
        let since = flow.now();
        flow.publish(&fleet::scope_changed("mass", MASS)?).await?;
        let in_lanes = flow.until(&since, syncs).await?;
        throughput.ours.push(rate(syncs, in_lanes));
        for sample in 0..scale.pick(20, 5) {
            latency.ours.push(urgent(&flow, URGENT - 1 - sample).await?);
            latency.floor.push(median(&alone));
        }
        drop(flow);
        progress(&format!("{what}: round {round}, all at once"));
        let flow = start(workers).await?;
        flow.patch_all(MASS, "at-once").await?;
        let at_once = flow.until(&flow.now(), syncs).await?;
        throughput.floor.push(rate(syncs, at_once));
    }
    let slowest = Rounds {
        ours: vec![latency.ours.iter().copied().fold(0.0, f64::max)],
        floor: vec![median(&latency.floor)],
    };
    let amid = |how, rounds| {
        let what = format!("{what}, amid {MASS}{how} ÷ alone");
        Measure::ratio(what, Unit::Milliseconds, rounds, Goal::AtMost(10.0))
    };
    Ok(vec![
        Measure::ratio(
            format!("{what}: {MASS} in lanes ÷ at once"),
            Unit::PerSecond,
            &throughput,
            Goal::AtLeast(0.9),
        ),
        amid("", &latency),
        amid(", slowest", &slowest),
    ])
}

async fn start(workers: usize) -> anyhow::Result<Flow> {
    Flow::start(Fleet(MASS + fleet::PER_NAMESPACE), workers, SYNC).await
}

async fn urgent(flow: &Flow, number: usize) -> anyhow::Result<f64> {
    sleep(PAUSE).await;
    let id = format!("urgent-{number}");
    Ok(milliseconds(flow.urgent(&id, MASS + number).await?))
}
