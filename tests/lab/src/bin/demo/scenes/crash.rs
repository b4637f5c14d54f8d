//! A consumer is killed at work, and NATS delivers again what it held.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
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
    cast::{CROWD, crowd_key, crowd_name},
    site::Site,
    stage::Stage,
    tell::{Teller, expect},
};

pub(crate) async fn play(stage: &mut Stage<'_>, tell: &Teller) -> anyhow::Result<()> {
    const SLOW: Duration = Duration::from_secs(2);
    tell.scene("A consumer dies in the middle of its work (kill -9)");
    let slow = stage.east.stand_in().map(|api| {
        let patches = On::verb(Verb::Patch, Kind::ExternalSecret);
        api.faults().inject(patches, Effect::slow(SLOW), Times::All)
    });
    tell.say(match slow {
        Some(_) => format!("the API of east takes {SLOW:?} for each patch from now on"),
        None => "the consumers of east patch at most 10 objects a second".to_owned(),
    });
    let before = stage.journal.durable("east").await?;
    let idle = held(&stage.east).await?;
    let mut refreshes = Vec::new();
    for at in 0..CROWD {
        let answer = stage.webhooks.updated(&[&crowd_key(at)]).await?;
        let id = accepted(&answer)?.remove(0);
        refreshes.push(stage.journal.find(&id).await?.refresh);
    }
    tell.say(format!(
        "{CROWD} webhooks answered 202, for an ExternalSecret each"
    ));
    let patched = |site: &Site<'_>| {
        let refreshes = refreshes.iter().enumerate();
        refreshes
            .filter(|(at, refresh)| site.sightings.of(&crowd_name(*at), refresh).is_some())
            .count()
    };

    // The consumer that holds the most, as soon as some objects are patched and others are not.
    let east = &stage.east;
    let at_work = async || {
        let held = held(east).await?;
        let held = [held[0] - idle[0], held[1] - idle[1]];
        let at = usize::from(held[1] > held[0]);
        let patched = patched(east);
        ensure!(
            held[at] > 0.0 && patched > 0,
            "{held:?} held, {patched} patched"
        );
        anyhow::Ok((at, held[at], patched))
    };
    let (at, count, done) = expect("a consumer amid its work", EFFECT, at_work).await?;
    let (killed, process) = (Instant::now(), stage.east.consumers[at].id());
    stage.east.consumers[at].kill9()?;
    tell.say(format!(
        "consumer {} of east (process {process}) killed with {count} messages in its hands, {done} of {CROWD} objects patched",
        at + 1
    ));
    if let (Some(slow), Some(api)) = (slow, stage.east.stand_in()) {
        api.faults().lift(slow);
        tell.say("the API of east is fast again");
    }

    let (journal, survivor) = (&stage.journal, &stage.east.consumers[1 - at]);
    let finished = async || {
        let pending = journal.durable("east").await?.num_pending;
        let held = unfinished(survivor).await? - idle[1 - at];
        ensure!(
            pending == 0 && held < 1.0,
            "{pending} wait, it holds {held}"
        );
        anyhow::Ok(())
    };
    let claim = "the other consumer of east has finished its own messages";
    tell.claim(claim, EFFECT, finished).await?;
    let left = journal.durable("east").await?.num_ack_pending;
    ensure!(
        left > 0,
        "expected: messages that only the dead consumer had; all are acked"
    );
    tell.say(format!(
        "{left} messages are with the dead one still: NATS waits for its ack, {} s, before it gives them to another",
        ACK_WAIT.as_secs()
    ));
    let claim = format!("{left} messages delivered again and acked");
    let durable = expect(claim, ACK_WAIT + EFFECT, || journal.drained("east")).await?;
    // Each delivery has a number of its own.
    let again = durable.delivered.consumer_sequence - before.delivered.consumer_sequence;
    let again = again - CROWD as u64;
    ensure!(
        again >= left as u64,
        "expected: {left} redeliveries, there were {again}"
    );
    tell.holds(format!(
        "{again} messages were delivered again, and all of east is acked {:.0} s after the kill",
        killed.elapsed().as_secs_f64()
    ));
    for site in stage.sites() {
        let done = async || match patched(site) {
            CROWD => Ok(()),
            some => bail!("{some} of {CROWD}"),
        };
        let claim = format!("{}: all {CROWD} patches have happened", site.name);
        tell.claim(claim, EFFECT, done).await?;
    }
    let dead = &mut stage.east.consumers[at];
    dead.start_again().await?;
    dead.wait_ready(READY).await
}

/// Events accepted less deliveries finished, since a consumer's start. The gauge of what is held follows
/// only every few seconds.
async fn unfinished(consumer: &Daemon) -> anyhow::Result<f64> {
    let metrics = consumer.metrics().await?;
    let events = metrics.sum("eso_relay_consumer_events_total", &[])?;
    Ok(events - metrics.sum("eso_relay_consumer_deliveries_total", &[])?)
}

async fn held(site: &Site<'_>) -> anyhow::Result<Vec<f64>> {
    try_join_all(site.consumers.iter().map(unfinished)).await
}
