//! What is promised while nothing fails.

use std::time::Instant;

use anyhow::ensure;
use eso_relay_lab::wait;
use jiff::Timestamp;
use serde_json::json;

use super::{
    site::{DATA, PARTS, Part, WEB},
    stage::{EFFECT, Stage, accepted, check},
};

/// A webhook, and its way to every kind of ExternalSecret.
pub(crate) async fn webhooks(stage: &Stage) -> anyhow::Result<()> {
    tell!("\nA secret changes, its store calls the webhook, and both clusters refresh");
    for (part, _) in PARTS {
        let (value, sent) = (stage.rotate(part.1), Instant::now());
        stage.updated(part.1).await?;
        say!("POST /webhook (Basic): 202 after {:.1?}", sent.elapsed());
        arrived(stage, part, &value, sent).await?;
    }
    let id = format!("demo-{:08x}", fastrand::u32(..));
    let (value, sent) = (stage.rotate(DATA.1), Instant::now());
    let body = json!({ "id": id, "type": "updated", "secret": { "name": DATA.1 } });
    accepted(&stage.webhooks.generic(&body).await?)?;
    let answered = sent.elapsed();
    say!("POST /v1/hooks/generic (HMAC-SHA256): 202 after {answered:.1?}");
    arrived(stage, DATA, &value, sent).await?;
    ok!("every kind of ExternalSecret has the new value, in east and in west");
    stage.cli(&["trace", &id, "--wait"]).await
}

async fn arrived(stage: &Stage, part: Part, value: &str, sent: Instant) -> anyhow::Result<()> {
    let (name, key) = part;
    for site in stage.sites() {
        let what = format!("{key} in the Secret {name} of {}", site.cluster.name());
        wait::until_ok(&what, EFFECT, || site.holds(name, value)).await?;
        say!("  {what} is new after {:.0?}", sent.elapsed());
    }
    Ok(())
}

/// A workload that reads a Secret when its pods start.
pub(crate) async fn restart(stage: &Stage) -> anyhow::Result<()> {
    tell!("\nA Deployment in each cluster reads a Secret when its pods start");
    for site in stage.sites() {
        let before = site.restarts().await?;
        ensure!(before.is_none(), "expected: none yet, it was {before:?}");
    }
    let value = stage.rotate(WEB.1);
    stage.updated(WEB.1).await?;
    for site in stage.sites() {
        let restarted = async || {
            let restarts = site.restarts().await?;
            ensure!(restarts.as_deref() == Some("1"), "{restarts:?} restarts");
            Ok(())
        };
        let name = site.cluster.name();
        wait::until_ok(format!("one restart in {name}"), EFFECT, restarted).await?;
        // Not waited for: it came first.
        site.holds(WEB.0, &value).await?;
        ok!("it restarted once in {name}, after its Secret had the new value");
    }
    Ok(())
}

/// What changed since a moment, once more, for one cluster alone.
pub(crate) async fn replay(stage: &Stage, since: Timestamp) -> anyhow::Result<()> {
    tell!("\nEast is restored from a backup: replay for east alone");
    let [east, west] = [stage.east.refreshes().await, stage.west.refreshes().await];
    let since = format!("{since:.0}");
    let replay = ["replay", "--cluster", "east", "--since", &since, "--yes"];
    stage.cli(&replay).await?;
    let again = async || {
        let now = stage.east.refreshes().await;
        let same = now.iter().zip(&east).filter(|(now, then)| now == then);
        ensure!(same.count() == 0, "not all were refreshed again");
        Ok(())
    };
    check("east refreshed all of them once more", again).await?;
    let claim = "west has seen the replayed events too";
    check(claim, || stage.drained("west")).await?;
    let same = stage.west.refreshes().await == west;
    ensure!(same, "expected: west as it was");
    ok!("and has not moved: they are not meant for it");
    Ok(())
}

/// What an operator sees at the end.
pub(crate) async fn status(stage: &Stage) -> anyhow::Result<()> {
    tell!("\nWhere everything stands");
    let settled = async || {
        stage.drained("east").await?;
        stage.drained("west").await
    };
    let claim = "nothing waits, nothing is in flight, nothing was missed";
    check(claim, settled).await?;
    stage.cli(&["status"]).await
}
