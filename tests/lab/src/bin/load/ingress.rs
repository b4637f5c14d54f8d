//! Requests per second and CPU time per request at 256 connections, of one signed event each ÷ the
//! *durable floor*: a handler that checks the same HMAC and stores the body with the same fsync.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use eso_relay::stream::Stream;
use eso_relay_lab::installation::{Hub, READY};

use super::{
    Scale,
    events::webhook,
    floor::{self, Floor},
    http::{Webhook, address, load},
    progress,
    report::{Goal, Measure, Unit},
    rounds::{Rounds, rate},
};

const CONNECTIONS: usize = 256;
/// The unit of times in `/proc`, on all architectures that the ingress is built for.
const TICK: Duration = Duration::from_millis(10);

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let hub = Hub::start().await?;
    hub.init(&[]).await?;
    let jetstream = hub.jetstream().await?;
    floor::create_raw_stream(&jetstream).await?;
    let mut ingress = hub.ingress().start().await?;
    ingress.wait_ready(READY).await?;
    let durable = Floor::durable(&hub.nats.url()).await?;
    let bare = Floor::bare().await?;
    let ours = Server {
        address: address(&ingress.url())?,
        process: ingress.id(),
    };
    let [durable, bare] = [&durable, &bare].map(|floor| Server {
        address: floor.address(),
        process: floor.id(),
    });

    let webhooks = webhooks();
    let time = scale.pick(Duration::from_secs(4), Duration::from_millis(1500));
    let rounds = scale.pick(5, 3);
    let (mut speed, mut cost, mut beside_bare) =
        (Rounds::default(), Rounds::default(), Rounds::default());
    for round in 0..=rounds {
        progress(&format!("ingress: round {round} of {rounds}"));
        let ours = ours.load(&webhooks, time).await?;
        let durable = durable.load(&webhooks, time).await?;
        let bare = bare.load(&webhooks, time).await?;
        // So that neither stream grows to its limit.
        for stream in [Stream::Events.name(), floor::RAW] {
            jetstream.get_stream(stream).await?.purge().await?;
        }
        // The first round warms up.
        if round > 0 {
            speed.push(ours.per_second, durable.per_second);
            cost.push(ours.cpu, durable.cpu);
            beside_bare.push(ours.per_second, bare.per_second);
        }
    }
    Ok(vec![
        Measure::ratio(
            "ingress: requests ÷ durable floor",
            Unit::PerSecond,
            &speed,
            Goal::AtLeast(0.85),
        ),
        Measure::ratio(
            "ingress: CPU per request ÷ durable floor",
            Unit::Microseconds,
            &cost,
            Goal::AtMost(1.25),
        ),
        Measure::ratio(
            "ingress: requests ÷ bare handler",
            Unit::PerSecond,
            &beside_bare,
            None,
        ),
    ])
}

/// One for each connection.
pub(crate) fn webhooks() -> Arc<[Webhook]> {
    (0..CONNECTIONS)
        .map(|number| webhook("load", number))
        .collect()
}

struct Server {
    address: SocketAddr,
    process: u32,
}

/// What one round of a server gave.
struct Load {
    per_second: f64,
    /// User and system time of the process for each answered request, in microseconds.
    cpu: f64,
}

impl Server {
    async fn load(&self, webhooks: &Arc<[Webhook]>, time: Duration) -> anyhow::Result<Load> {
        let before = cpu_time(self.process)?;
        let (answered, took) = load(self.address, webhooks, time).await?;
        let used = cpu_time(self.process)?.saturating_sub(before);
        Ok(Load {
            per_second: rate(answered, took),
            cpu: 1e6 / rate(answered, used),
        })
    }
}

/// User and system time that a process has taken so far.
fn cpu_time(process: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&path).context("CPU time is measured on Linux only")?;
    // The name of the program stands in parentheses and may hold spaces; the times are fields 14 and 15.
    let after_name = stat.rsplit_once(')').context("no name of the program")?.1;
    let times = after_name.split_whitespace().skip(11).take(2);
    let ticks = times.map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(ticks * TICK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_cpu_time() {
        let before = cpu_time(std::process::id()).unwrap();
        while cpu_time(std::process::id()).unwrap() < before + 2 * TICK {
            std::hint::black_box((0..10_000).sum::<u64>());
        }
    }
}
