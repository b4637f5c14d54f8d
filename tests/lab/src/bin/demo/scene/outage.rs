//! A cluster is away while events arrive, and catches up when it is back.

use std::time::{Duration, Instant};

use anyhow::ensure;
use eso_relay_lab::installation::READY;
use jiff::Timestamp;

use super::{EFFECT, accepted, fresh};
use crate::{
    cast::{CLUSTER_STORE, DATA, Part, SOURCE_REF},
    narrate::{Narrator, short},
    stage::{Stage, now},
};

pub(crate) const PARTS: [Part; 3] = [DATA, SOURCE_REF, CLUSTER_STORE];
const ROUNDS: usize = 10;
/// Each of the two consumers patches a target at most twice: for its first event and for its newest.
const MOST_PATCHES: usize = PARTS.len() * 2 * 2;

/// Returns the moment before the first event.
pub(crate) async fn play(stage: &mut Stage<'_>, tell: &Narrator) -> anyhow::Result<Timestamp> {
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
    let since = now();
    let names = PARTS.map(|part| part.name);
    let before = stage.west.sightings.count(names);
    let values = send(stage).await?;
    let events = ROUNDS * PARTS.len();
    tell.say(format!(
        "{events} webhooks answered 202: {ROUNDS} for each of {} secrets",
        PARTS.len()
    ));
    arrived(stage, tell, "east", &values).await?;
    let waiting = stage.journal.durable("west").await?.num_pending;
    let moved = stage.west.sightings.count(names) - before;
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
    let journal = &stage.journal;
    let caught_up = async || {
        let durable = journal.durable("west").await?;
        let (pending, unacked) = (durable.num_pending, durable.num_ack_pending);
        ensure!(
            pending == 0 && unacked == 0,
            "{pending} wait, {unacked} are not acked"
        );
        Ok(())
    };
    tell.claim(
        "west has caught up: nothing waits, all is acked",
        EFFECT,
        caught_up,
    )
    .await?;
    arrived(stage, tell, "west", &values).await?;
    let patches = stage.west.sightings.count(names) - before;
    ensure!(
        (PARTS.len()..=MOST_PATCHES).contains(&patches),
        "expected: at most {MOST_PATCHES} patches for {events} events, there were {patches}"
    );
    tell.holds(format!(
        "coalesced: {events} events became {patches} patches of {} ExternalSecrets",
        PARTS.len()
    ));
    Ok(since)
}

/// Many changes of few secrets; the last value of each.
async fn send(stage: &Stage<'_>) -> anyhow::Result<Vec<String>> {
    let values: Vec<String> = PARTS.iter().map(|_| fresh()).collect();
    for (part, value) in PARTS.iter().zip(&values) {
        stage.rotate(part.key, value).await?;
    }
    for _ in 0..ROUNDS {
        for part in PARTS {
            accepted(&stage.webhooks.updated(&[part.key]).await?)?;
        }
    }
    Ok(values)
}

async fn arrived(
    stage: &Stage<'_>,
    tell: &Narrator,
    cluster: &str,
    values: &[String],
) -> anyhow::Result<()> {
    const TWICE: Duration = Duration::from_secs(2 * EFFECT.as_secs());
    for site in stage
        .sites()
        .into_iter()
        .filter(|site| site.name == cluster)
    {
        let all = async || {
            for (part, value) in PARTS.iter().zip(values) {
                site.secret_holds(part.name, value)
                    .await
                    .map_err(|why| format!("{}: {why}", part.name))?;
            }
            Ok::<_, String>(())
        };
        let claim = format!("the newest values are in the Secrets of {cluster}");
        tell.claim(claim, TWICE, all).await?;
    }
    Ok(())
}
