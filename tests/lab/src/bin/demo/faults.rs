//! What fails meanwhile: a consumer dies, and a cluster is away.

use std::time::{Duration, Instant};

use anyhow::ensure;
use eso_relay::{command::clock, stream::ACK_WAIT};
use eso_relay_lab::{
    cluster::Kind,
    daemon::Daemon,
    installation::READY,
    standin::{Effect, On, Times, Verb},
    wait,
};
use jiff::Timestamp;

use super::{
    site::{AWAY, crowd},
    stage::{EFFECT, Stage, check},
};

/// What a patch takes while a consumer is to be killed at work. A real API cannot be slowed down like this:
/// there the consumers patch ten objects a second.
const SLOW: Duration = Duration::from_secs(1);

/// A consumer is killed at work, and NATS delivers again what it held.
pub(crate) async fn kill(stage: &mut Stage) -> anyhow::Result<()> {
    tell!("\nA consumer dies in the middle of its work (kill -9)");
    let slow = stage.east.cluster.as_stand_in().map(|api| {
        let patches = On::verb(Verb::Patch, Kind::ExternalSecret);
        api.faults().inject(patches, Effect::Slow(SLOW), Times::All)
    });
    let mut values = Vec::new();
    for (name, key, _) in crowd() {
        values.push((name, stage.rotate(&key)));
        stage.updated(&key).await?;
    }
    let count = values.len();
    say!("{count} webhooks answered 202, for an ExternalSecret each");
    let at_work = async || {
        let [one, two] = [0, 1].map(|at| unfinished(&stage.east.consumers[at]));
        let (one, two) = (one.await?, two.await?);
        ensure!(one + two > 0.0, "none holds a message");
        Ok(if one > two { (0, one) } else { (1, two) })
    };
    let (dying, held) = wait::until_ok("a consumer at work", EFFECT, at_work).await?;
    stage.east.consumers[dying].kill9()?;
    let (killed, number) = (Instant::now(), dying + 1);
    say!("consumer {number} of east killed with {held} messages in its hands");
    if let (Some(slow), Some(api)) = (slow, stage.east.cluster.as_stand_in()) {
        api.faults().lift(slow);
    }
    let survivor = &stage.east.consumers[1 - dying];
    let finished = async || {
        let held = unfinished(survivor).await?;
        let [waiting, left, _] = stage.durable("east").await?;
        let finished = waiting == 0 && held < 1.0;
        ensure!(finished, "{waiting} wait, it holds {held}");
        Ok(left)
    };
    let left = check("the other consumer of east has finished its own", finished).await?;
    ensure!(left > 0, "expected: messages that only the dead one had");
    let seconds = ACK_WAIT.as_secs();
    say!("{left} are with the dead one still: NATS waits {seconds} s for its ack");
    let acked = || stage.drained("east");
    wait::until_ok("the redelivery", ACK_WAIT + EFFECT, acked).await?;
    let after = killed.elapsed();
    ok!("they were delivered again, and all is acked {after:.0?} after the kill");
    let all = format!("all {count} new values");
    for site in stage.sites() {
        site.has_all(&all, &values).await?;
    }
    let dead = &mut stage.east.consumers[dying];
    dead.start_again().await?;
    dead.wait_ready(READY).await
}

/// A cluster is away while events arrive, and catches up when it is back. Returns the moment before them.
pub(crate) async fn outage(stage: &mut Stage) -> anyhow::Result<Timestamp> {
    const ROUNDS: usize = 10;
    /// Each of the two consumers patches an object at most twice: for its first event and for its newest.
    const MOST_PATCHES: u64 = 2 * 2 * AWAY.len() as u64;
    tell!("\nA cluster is away for a while");
    for consumer in &mut stage.west.consumers {
        consumer.terminate()?;
        let status = consumer.wait_exit(EFFECT).await?;
        ensure!(status.success(), "expected: exit code 0, it was {status}");
    }
    ok!("both consumers of west stopped (SIGTERM, exit code 0)");
    let (since, before) = (clock(), stage.west.refreshes().await);
    let values = AWAY.map(|(name, key)| (name.to_owned(), stage.rotate(key)));
    for (_, key) in [AWAY; ROUNDS].into_iter().flatten() {
        stage.updated(key).await?;
    }
    let events = ROUNDS * AWAY.len();
    say!("{events} webhooks answered 202, for three secrets");
    stage.east.has_all("the newest values", &values).await?;
    let [waiting, ..] = stage.durable("west").await?;
    ensure!(waiting > 0, "expected: events wait for west");
    let same = stage.west.refreshes().await == before;
    ensure!(same, "expected: nothing moves in west");
    ok!("west has not moved; {waiting} messages wait for it in the stream");
    for consumer in &mut stage.west.consumers {
        consumer.start_again().await?;
        consumer.wait_ready(READY).await?;
    }
    say!("both consumers of west are back");
    let claim = "west has caught up: nothing waits, all is acked";
    check(claim, || stage.drained("west")).await?;
    stage.west.has_all("the newest values", &values).await?;
    let mut patches = 0;
    for consumer in &stage.west.consumers {
        let name = "eso_relay_consumer_patches_total";
        patches += consumer.count(name, &[("result", "done")]).await?;
    }
    ensure!(
        (AWAY.len() as u64..=MOST_PATCHES).contains(&patches),
        "expected: at most {MOST_PATCHES} patches for {events} events, there were {patches}"
    );
    ok!("coalesced: {events} events became {patches} patches of three ExternalSecrets");
    Ok(since)
}

/// Events accepted less deliveries finished, since a consumer's start. The gauge of what is held follows
/// only every few seconds.
async fn unfinished(consumer: &Daemon) -> anyhow::Result<f64> {
    let metrics = consumer.metrics().await?;
    let events = metrics.sum("eso_relay_consumer_events_total", &[])?;
    Ok(events - metrics.sum("eso_relay_consumer_deliveries_total", &[])?)
}
