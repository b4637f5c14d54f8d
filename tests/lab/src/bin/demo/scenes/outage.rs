//! A cluster is away while events arrive, and catches up when it is back. Then what it saw is replayed for
//! the other cluster alone.

use std::time::Instant;

use anyhow::ensure;
use eso_relay_lab::{cluster::annotation, installation::READY};
use jiff::Timestamp;

use super::{EFFECT, accepted, fresh, now};
use crate::{
    cast::{CLUSTER_STORE, DATA, Part, SOURCE_REF},
    site::Site,
    stage::Stage,
    tell::{Teller, short},
};

const PARTS: [Part; 3] = [DATA, SOURCE_REF, CLUSTER_STORE];

/// Returns the moment before the first event.
pub(crate) async fn play(stage: &mut Stage<'_>, tell: &Teller) -> anyhow::Result<Timestamp> {
    const ROUNDS: usize = 10;
    const EVENTS: usize = ROUNDS * PARTS.len();
    /// Each of the two consumers patches a target at most twice: for its first event and for its newest.
    const MOST_PATCHES: usize = PARTS.len() * 2 * 2;
    tell.scene("A cluster is away for a while");
    for consumer in &mut stage.west.consumers {
        consumer.terminate()?;
        let status = consumer.wait_exit(EFFECT).await?;
        ensure!(
            status.success(),
            "expected: a consumer ends well on SIGTERM; it was {status}"
        );
    }
    tell.say("both consumers of west stopped (SIGTERM, exit code 0)");
    let patches = |site: &Site<'_>| -> usize {
        PARTS
            .iter()
            .map(|part| site.sightings.count(part.name))
            .sum()
    };
    let (since, before) = (now(), patches(&stage.west));
    let values = PARTS.map(|_| fresh());
    for (part, value) in PARTS.iter().zip(&values) {
        stage.rotate(part.key, value).await?;
    }
    for part in [PARTS; ROUNDS].into_iter().flatten() {
        accepted(&stage.webhooks.updated(&[part.key]).await?)?;
    }
    tell.say(format!(
        "{EVENTS} webhooks answered 202: {ROUNDS} for each of {} secrets",
        PARTS.len()
    ));
    arrived(&stage.east, tell, &values).await?;
    let waiting = stage.journal.durable("west").await?.num_pending;
    let moved = patches(&stage.west) - before;
    ensure!(
        waiting > 0 && moved == 0,
        "expected: events wait and nothing moves in west; {waiting} wait, {moved} patches"
    );
    tell.holds(format!(
        "west has not moved; {waiting} messages wait for it in the stream"
    ));

    let back = Instant::now();
    for consumer in &mut stage.west.consumers {
        consumer.start_again().await?;
    }
    for consumer in &mut stage.west.consumers {
        consumer.wait_ready(READY).await?;
    }
    tell.say(format!(
        "both consumers of west are back (ready after {})",
        short(back.elapsed())
    ));
    let claim = "west has caught up: nothing waits, all is acked";
    tell.claim(claim, EFFECT, || stage.journal.drained("west"))
        .await?;
    arrived(&stage.west, tell, &values).await?;
    let patches = patches(&stage.west) - before;
    ensure!(
        (PARTS.len()..=MOST_PATCHES).contains(&patches),
        "expected: at most {MOST_PATCHES} patches for {EVENTS} events, there were {patches}"
    );
    tell.holds(format!(
        "coalesced: {EVENTS} events became {patches} patches of {} ExternalSecrets",
        PARTS.len()
    ));
    Ok(since)
}

async fn arrived(site: &Site<'_>, tell: &Teller, values: &[String]) -> anyhow::Result<()> {
    let all = async || {
        for (part, value) in PARTS.iter().zip(values) {
            let holds = site.secret_holds(part.name, value).await;
            holds.map_err(|why| format!("{}: {why}", part.name))?;
        }
        Ok::<_, String>(())
    };
    let claim = format!("the newest values are in the Secrets of {}", site.name);
    tell.claim(claim, 2 * EFFECT, all).await
}

/// What changed since a moment, once more, for one cluster alone.
pub(crate) async fn replay(
    stage: &Stage<'_>,
    tell: &Teller,
    since: Timestamp,
) -> anyhow::Result<()> {
    tell.scene("East is restored from a backup: replay for east alone");
    let last = |site: &Site<'_>| PARTS.map(|part| site.sightings.last(part.name));
    let (east, west) = (last(&stage.east), last(&stage.west));
    let since = format!("{since:.0}");
    let args = ["replay", "--cluster", "east", "--since", &since, "--yes"];
    let output = stage.hub.cli(&args).await?;
    let said = format!("{}{}", output.stdout, output.stderr);
    tell.command(&format!("eso-relay {}", args.join(" ")), &said);
    ensure!(
        output.code == 0,
        "expected: exit code 0 of replay, it was {}",
        output.code
    );

    let refreshed = async || {
        let now = last(&stage.east);
        let mut pairs = PARTS.iter().zip(now.iter().zip(&east));
        match pairs.find(|(_, (now, then))| now == then) {
            Some((part, _)) => Err(format!("{} was not refreshed again", part.name)),
            None => Ok(()),
        }
    };
    tell.claim("east refreshed all of them once more", EFFECT, refreshed)
        .await?;
    let newest = stage.journal.last().await?;
    let seen = async || {
        let durable = stage.journal.durable("west").await?;
        let floor = durable.ack_floor.stream_sequence;
        ensure!(floor >= newest, "acked up to {floor} of {newest}");
        anyhow::Ok(())
    };
    tell.claim("west has seen the replayed events too", EFFECT, seen)
        .await?;
    // The watch may lag behind: the objects are asked.
    for (part, then) in PARTS.iter().zip(&west) {
        let now = annotation(stage.west.client(), stage.west.namespace(), part.name).await?;
        ensure!(
            now == *then,
            "expected: {} of west as it was; it was refreshed",
            part.name
        );
    }
    tell.holds("and has not moved: they are not meant for it");
    Ok(())
}
