//! What an ingress takes that holds thousands of idle connections, as load balancers keep them.

use std::time::Duration;

use eso_relay_lab::installation::{Hub, READY};
use tokio::time::{interval, sleep};

use super::{
    Scale,
    events::webhook,
    http::{Connection, address},
    memory::{peak, status},
    progress,
    report::{Goal, Measure, Unit},
};

/// Within this time idle connections give their buffers back.
const PARKED: Duration = Duration::from_secs(5);

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let connections: usize = scale.pick(10_000, 1000);
    progress("connections: idle ones");
    let hub = Hub::start().await?;
    hub.init(&[]).await?;
    let bounds = format!("max_connections: {connections}\nmax_connections_per_peer: {connections}");
    let mut ingress = hub.ingress_with(&bounds).start().await?;
    ingress.wait_ready(READY).await?;
    let (address, webhook) = (address(&ingress.url())?, webhook("load", 1)?);
    let mut open = Vec::with_capacity(connections);
    // A thousand a second: no more of them are at work at once than otherwise.
    let mut ticks = interval(Duration::from_millis(1));
    for _ in 0..connections {
        ticks.tick().await;
        let mut connection = Connection::open(address).await?;
        connection.send(&webhook).await?;
        open.push(connection);
    }
    sleep(PARKED).await;
    let idle = status(&ingress.id().to_string(), "VmRSS:")? / 1024.0;
    let most = peak(&ingress)?;
    // They are still there.
    for connection in open.iter_mut().step_by(100) {
        connection.send(&webhook).await?;
    }
    let value = |what: &str, figure, goal| Measure::value(what, Unit::Mebibytes, figure, goal);
    Ok(vec![
        value(
            &format!("connections: ingress, {connections} idle, each used once"),
            idle,
            Some(Goal::AtMost(64.0)),
        ),
        value("connections: the most while they came", most, None),
    ])
}
