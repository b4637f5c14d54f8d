//! Requests per second of one event each, at 256 connections, signed ÷ a bare axum handler that
//! reads the same requests and answers the same status.

use std::{sync::Arc, time::Duration};

use eso_relay_lab::installation::{Hub, READY};

use super::{
    Scale,
    child::BareHandler,
    events::webhook,
    http::{Webhook, address, per_second},
    report::{Goal, Measure, Unit},
    rounds::alternate,
};

pub(crate) const CONNECTIONS: usize = 256;

pub(crate) async fn measure(scale: Scale) -> anyhow::Result<Vec<Measure>> {
    let hub = Hub::start().await?;
    hub.init(&[]).await?;
    let mut ingress = hub.ingress().start().await?;
    ingress.wait_ready(READY).await?;
    let bare = BareHandler::start().await?;
    let (address, webhooks) = (address(&ingress.url())?, webhooks()?);
    let time = scale.pick(Duration::from_secs(4), Duration::from_millis(1500));
    let rounds = alternate(
        "ingress",
        scale.pick(5, 2),
        async || per_second(address, &webhooks, time).await,
        async || per_second(bare.address(), &webhooks, time).await,
    );
    Ok(vec![Measure::ratio(
        "ingress: requests ÷ bare handler",
        Unit::PerSecond,
        &rounds.await?,
        Goal::AtLeast(0.70),
    )])
}

/// One for each connection.
pub(crate) fn webhooks() -> anyhow::Result<Arc<[Webhook]>> {
    (0..CONNECTIONS)
        .map(|number| webhook("load", number))
        .collect()
}
