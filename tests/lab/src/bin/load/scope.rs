//! An event about everything in 50 namespaces, 5,000 of 100,000 ExternalSecrets: finding them, and how
//! they flow through an ESO of 10 workers that take 20 ms for each ÷ all of them patched at once.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use eso_relay_lab::fleet::{self, Fleet};

use super::{
    Scale,
    flow::Flow,
    latency::milliseconds,
    progress,
    report::{Goal, Measure, Unit},
    rounds::{Rounds, median, rate},
};

const TARGETS: usize = 5000;
const WORKERS: usize = 10;
const SYNC: Duration = Duration::from_millis(20);

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let (fleet, targets) = scale.pick((Fleet(100_000), TARGETS), (Fleet(10_000), 1000));
    let matching = matching(scale)?;
    progress("scope: creating the objects");
    let flow = Flow::start(fleet, WORKERS, SYNC).await?;
    let (mut throughput, mut pauses) = (Rounds::default(), Vec::new());
    for round in 1..=scale.pick(3, 1) {
        progress(&format!("scope: round {round}"));
        let id = format!("scope-{round}");
        let event = fleet::scope_changed(&id, targets)?;
        let since = flow.now();
        flow.publish(&event).await?;
        let ours = flow.until(&since, targets).await?;
        pauses.push(milliseconds(ours.longest_pause));
        throughput.ours.push(rate(targets, ours.took));
        let since = flow.now();
        let patches = flow.patch_all(targets, &id);
        let ((), at_once) = tokio::try_join!(patches, flow.until(&since, targets))?;
        throughput.floor.push(rate(targets, at_once.took));
    }
    Ok(vec![
        matching,
        Measure::ratio(
            format!("scope: {targets} synced, in lanes ÷ all patched at once"),
            Unit::PerSecond,
            &throughput,
            Goal::AtLeast(0.9),
        ),
        Measure::value(
            "scope: the longest pause between two syncs",
            Unit::Milliseconds,
            pauses.iter().copied().fold(0.0, f64::max),
            Goal::AtMost(250.0),
        ),
    ])
}

/// In process, in milliseconds for all of them.
fn matching(scale: Scale) -> anyhow::Result<Measure> {
    progress("scope: filling an index of 100,000");
    let index = Fleet(100_000).index();
    let event = fleet::scope_changed("scope", TARGETS)?;
    let figures: Vec<f64> = (0..scale.pick(50, 10))
        .map(|_| {
            let started = Instant::now();
            let found = black_box(index.matching(black_box(&event))).targets.len();
            anyhow::ensure!(found == TARGETS, "{found} found");
            Ok(milliseconds(started.elapsed()))
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(Measure::value(
        "scope: finding 5,000 among 100,000",
        Unit::Milliseconds,
        median(&figures),
        // 2 µs each, as for an exact event.
        Goal::AtMost(10.0),
    ))
}
