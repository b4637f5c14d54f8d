//! A consumer is killed amid its work, and NATS delivers again what it held.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use eso_relay::stream::ACK_WAIT;
use eso_relay_lab::{
    cluster::Kind,
    daemon::Daemon,
    installation::READY,
    standin::{Effect, On, Times, Verb},
};

use futures::future::try_join_all;

use super::{EFFECT, accepted};
use crate::{
    cast::{CROWD, READERS, crowd_key, crowd_name},
    narrate::{Narrator, expect},
    stage::{Site, Stage},
};

const SLOW: Duration = Duration::from_secs(2);

pub(crate) async fn play(stage: &mut Stage<'_>, tell: &Narrator) -> anyhow::Result<()> {
    tell.scene("A consumer dies in the middle of its work (kill -9)");
    let slow = stage.east.stand_in().map(|api| {
        let patches = On::verb(Verb::Patch, Kind::ExternalSecret);
        api.faults().inject(patches, Effect::slow(SLOW), Times::All)
    });
    let how = match slow {
        Some(_) => format!("the API of east takes {SLOW:?} for each patch from now on"),
        None => "the consumers of east patch at most 10 objects a second".to_owned(),
    };
    tell.say(how);
    let before = stage.journal.durable("east").await?;
    let balances = balances(&stage.east).await?;
    let mut ids = Vec::new();
    for at in 0..CROWD {
        let answer = stage.webhooks.updated(&[&crowd_key(at)]).await?;
        ids.extend(accepted(&answer)?);
    }
    let refreshes = refreshes(stage, &ids).await?;
    tell.say(format!(
        "{CROWD} webhooks answered 202, each for {READERS} ExternalSecrets in each cluster"
    ));

    let victim = amid_work(&stage.east, &balances, &refreshes).await?;
    let killed = Instant::now();
    stage.east.consumers[victim.at].kill9()?;
    tell.say(format!(
        "consumer {} of east (process {}) killed with {} messages in its hands, {} of {} objects patched",
        victim.at + 1,
        victim.process,
        victim.held,
        victim.patched,
        CROWD * READERS
    ));
    if let (Some(slow), Some(api)) = (slow, stage.east.stand_in()) {
        api.faults().lift(slow);
        tell.say("the API of east is fast again");
    }

    let other = 1 - victim.at;
    let survivor = &stage.east.consumers[other];
    let journal = &stage.journal;
    let idle = async || {
        let pending = journal.durable("east").await?.num_pending;
        let held = balance(survivor).await? - balances[other];
        ensure!(
            pending == 0 && held < 1.0,
            "{pending} wait, it holds {held}"
        );
        anyhow::Ok(())
    };
    tell.claim(
        "the other consumer of east has finished its own messages",
        EFFECT,
        idle,
    )
    .await?;
    let left = stage.journal.durable("east").await?.num_ack_pending;
    ensure!(
        left > 0,
        "expected: messages that only the dead consumer had; all are acked"
    );
    tell.say(format!(
        "{left} messages are with the dead one still: NATS waits for its ack, {} s, before it gives them to another",
        ACK_WAIT.as_secs()
    ));
    redelivered(
        stage,
        tell,
        killed,
        (before.delivered.consumer_sequence, left),
    )
    .await?;
    for site in stage.sites() {
        let done = async || match count(site, &refreshes) {
            all if all == CROWD * READERS => Ok(()),
            some => bail!("{some} of {}", CROWD * READERS),
        };
        let claim = format!(
            "{}: all {} patches have happened",
            site.name,
            CROWD * READERS
        );
        tell.claim(claim, EFFECT, done).await?;
    }
    let dead = &mut stage.east.consumers[victim.at];
    dead.start_again().await?;
    dead.wait_ready(READY).await
}

/// What the annotation of each secret's readers must become.
async fn refreshes(stage: &mut Stage<'_>, ids: &[String]) -> anyhow::Result<Vec<String>> {
    let mut refreshes = Vec::new();
    for id in ids {
        refreshes.push(stage.journal.find(id).await?.refresh);
    }
    Ok(refreshes)
}

/// How many objects carry what they must.
fn count(site: &Site<'_>, refreshes: &[String]) -> usize {
    let all = refreshes.iter().enumerate();
    all.flat_map(|(at, refresh)| (0..READERS).map(move |reader| (crowd_name(at, reader), refresh)))
        .filter(|(name, refresh)| site.sightings.of(name, refresh).is_some())
        .count()
}

struct Victim {
    at: usize,
    process: u32,
    held: f64,
    patched: usize,
}

/// Events taken less deliveries finished, since a consumer's start. The gauge of what is held follows
/// only every few seconds.
async fn balance(consumer: &Daemon) -> anyhow::Result<f64> {
    let metrics = consumer.metrics().await?;
    let events = metrics.sum("eso_relay_consumer_events_total", &[])?;
    Ok(events - metrics.sum("eso_relay_consumer_deliveries_total", &[])?)
}

async fn balances(site: &Site<'_>) -> anyhow::Result<Vec<f64>> {
    try_join_all(site.consumers.iter().map(balance)).await
}

/// The consumer that holds the most, as soon as some objects are patched and others are not.
async fn amid_work(site: &Site<'_>, idle: &[f64], refreshes: &[String]) -> anyhow::Result<Victim> {
    let busiest = async || {
        let mut busiest = None;
        for (at, balance) in balances(site).await?.into_iter().enumerate() {
            let held = balance - idle[at];
            if busiest.as_ref().is_none_or(|it: &Victim| it.held < held) {
                busiest = Some(Victim {
                    at,
                    process: site.consumers[at].id(),
                    held,
                    patched: count(site, refreshes),
                });
            }
        }
        let victim = busiest.context("no consumer")?;
        let Victim { held, patched, .. } = victim;
        ensure!(
            held > 0.0 && patched > 0,
            "it holds {held}, {patched} are patched"
        );
        Ok(victim)
    };
    expect("a consumer amid its work", EFFECT, busiest).await
}

/// Waits until nothing is unacked in east any more, and counts what was delivered again.
async fn redelivered(
    stage: &Stage<'_>,
    tell: &Narrator,
    killed: Instant,
    (delivered, left): (u64, usize),
) -> anyhow::Result<()> {
    let journal = &stage.journal;
    let acked = async || {
        let durable = journal.durable("east").await?;
        let (pending, unacked) = (durable.num_pending, durable.num_ack_pending);
        ensure!(pending == 0 && unacked == 0, "{unacked} are not acked");
        Ok(durable)
    };
    let waiting = expect(
        format!("{left} messages delivered again and acked"),
        ACK_WAIT + EFFECT,
        acked,
    );
    let durable = tell.during("waiting for ack_wait to pass", waiting).await?;
    // Each delivery has a number of its own.
    let again = durable.delivered.consumer_sequence - delivered - CROWD as u64;
    ensure!(
        again >= left as u64,
        "expected: {left} redeliveries, there were {again}"
    );
    tell.holds(format!(
        "{again} messages were delivered again, and all of east is acked {:.0} s after the kill",
        killed.elapsed().as_secs_f64()
    ));
    Ok(())
}
