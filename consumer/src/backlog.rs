//! How far behind this cluster is, from the server.

use std::time::Duration;

use async_nats::{connection::State, jetstream::Context};
use eso_relay::{Slug, stream::verify};
use tokio::time::interval;

use crate::metrics::Metrics;

const EVERY: Duration = Duration::from_secs(10);

/// Keeps the gauges of the cluster's durable up to date, for ever.
pub async fn observe(jetstream: Context, cluster: Slug, metrics: Metrics) {
    let mut every = interval(EVERY);
    loop {
        every.tick().await;
        // A request without a connection would only time out.
        if jetstream.client().connection_state() != State::Connected {
            continue;
        }
        // A durable that is not there is the pull loop's to report.
        if let Ok(durable) = verify::durable(&jetstream, &cluster).await {
            let info = durable.cached_info();
            metrics.backlog.set(info.num_pending);
            metrics.ack_pending.set(info.num_ack_pending as u64);
        }
    }
}
