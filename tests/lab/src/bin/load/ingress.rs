//! Requests per second and CPU time per request at 256 connections, of one signed event each ÷ the
//! *durable floor*: a handler that checks the same HMAC and stores the body with the same fsync.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use eso_relay::stream::Stream;
use eso_relay_lab::installation::Hub;

use super::{
    Scale,
    floor::{self, Floor},
    http::{Webhook, load},
    report::{Measure, Unit, rate, rounds},
    rig::{self, cpu_time, webhook},
};

const CONNECTIONS: usize = 256;

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let hub = Hub::start().await?;
    hub.init(&[]).await?;
    let jetstream = hub.jetstream().await?;
    floor::create_raw_stream(&jetstream).await?;
    let (ours, address) = rig::ingress(&hub, "").await?;
    let durable = Floor::durable(&hub.nats.url()).await?;
    let bare = Floor::bare().await?;
    let time = scale.pick(Duration::from_secs(4), Duration::from_millis(1500));
    let webhooks = webhooks();
    let one = async |_| {
        let ours = run(address, ours.id(), &webhooks, time).await?;
        let durable = run(durable.address(), durable.id(), &webhooks, time).await?;
        let bare = run(bare.address(), bare.id(), &webhooks, time).await?;
        // So that neither stream grows to its limit.
        for stream in [Stream::Events.name(), floor::RAW] {
            jetstream.get_stream(stream).await?.purge().await?;
        }
        Ok([
            (ours.per_second, durable.per_second),
            (ours.cpu, durable.cpu),
            (ours.per_second, bare.per_second),
        ])
    };
    let [speed, cost, beside_bare] = rounds("ingress", scale.pick(5, 3), one).await?;
    let (speed_of, cost_of) = (Unit::PerSecond, Unit::Microseconds);
    Ok(vec![
        Measure::ratio("ingress: requests ÷ durable floor", speed_of, &speed).at_least(0.85),
        Measure::ratio("ingress: CPU per request ÷ durable floor", cost_of, &cost).at_most(1.25),
        Measure::ratio("ingress: requests ÷ bare handler", speed_of, &beside_bare),
    ])
}

/// One for each connection.
pub(crate) fn webhooks() -> Arc<[Webhook]> {
    (0..CONNECTIONS)
        .map(|number| webhook("load", number))
        .collect()
}

/// What one round of a server gave.
struct Load {
    per_second: f64,
    /// User and system time of the process for each answered request, in microseconds.
    cpu: f64,
}

async fn run(
    address: SocketAddr,
    process: u32,
    webhooks: &Arc<[Webhook]>,
    time: Duration,
) -> anyhow::Result<Load> {
    let before = cpu_time(process)?;
    let (answered, took) = load(address, webhooks, time).await?;
    let used = cpu_time(process)?.saturating_sub(before);
    Ok(Load {
        per_second: rate(answered, took),
        cpu: 1e6 / rate(answered, used),
    })
}
