//! Events per second in requests of 100 ÷ messages per second of a raw publisher into a stream of the
//! same configuration on the same server.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use async_nats::jetstream::Context;
use bytes::Bytes;
use eso_relay::{
    event::encode_batch,
    stream::{Limits, Stream},
};
use eso_relay_lab::installation::{Hub, READY};
use futures::{StreamExt as _, stream::FuturesUnordered};

use super::{
    Scale,
    events::{event, large_webhook},
    http::{Webhook, address, per_second},
    report::{Goal, Measure, Unit},
    rounds::{alternate, rate},
};

const CONNECTIONS: usize = 32;
const EVENTS: usize = 100;
/// The publisher's unacked messages: more of them make it no faster on a server that syncs always.
const WINDOW: usize = 256;
pub(crate) const RAW: &str = "RAW";
pub(crate) const RAW_SUBJECT: &str = "raw";

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let hub = Hub::start().await?;
    hub.init(&[]).await?;
    let jetstream = hub.jetstream().await?;
    create_raw_stream(&jetstream).await?;
    let mut ingress = hub.ingress().start().await?;
    ingress.wait_ready(READY).await?;

    let address = address(&ingress.url())?;
    let webhooks: Arc<[Webhook]> = (0..CONNECTIONS)
        .map(|connection| large_webhook("batch", connection * EVENTS..(connection + 1) * EVENTS))
        .collect::<anyhow::Result<_>>()?;
    let message = encode_batch([&event("raw", 0)?]);
    let time = scale.pick(Duration::from_secs(4), Duration::from_millis(1500));
    let rounds = alternate(
        "batch",
        scale.pick(5, 2),
        async || {
            let requests = per_second(address, &webhooks, time).await?;
            purge(&jetstream, Stream::Events.name()).await?;
            Ok(requests * 100.0)
        },
        async || {
            let messages = publish_for(&jetstream, &message, time).await?;
            purge(&jetstream, RAW).await?;
            Ok(messages)
        },
    );
    Ok(vec![Measure::ratio(
        "batch: events in requests of 100 ÷ raw publisher",
        Unit::PerSecond,
        &rounds.await?,
        Goal::AtLeast(2.0),
    )])
}

/// Beside the stream of the events, with the same configuration.
pub(crate) async fn create_raw_stream(jetstream: &Context) -> anyhow::Result<()> {
    let config = async_nats::jetstream::stream::Config {
        name: RAW.to_owned(),
        subjects: vec![RAW_SUBJECT.to_owned()],
        ..Stream::Events.config(&Limits::default())
    };
    jetstream.create_stream(config).await?;
    Ok(())
}

async fn publish_for(jetstream: &Context, message: &Bytes, time: Duration) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut unacked = FuturesUnordered::new();
    let mut acked = 0;
    while started.elapsed() < time {
        let sent = jetstream.publish(RAW_SUBJECT, message.clone()).await?;
        unacked.push(sent.into_future());
        if unacked.len() == WINDOW {
            unacked.next().await.context("one is on its way")??;
            acked += 1;
        }
    }
    while let Some(ack) = unacked.next().await {
        ack?;
        acked += 1;
    }
    Ok(rate(acked, started.elapsed()))
}

/// So that neither stream grows to its limit.
pub(crate) async fn purge(jetstream: &Context, stream: &str) -> anyhow::Result<()> {
    jetstream.get_stream(stream).await?.purge().await?;
    Ok(())
}
