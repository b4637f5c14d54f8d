//! Sources in turns with the bare handler: what one sender's scheme or format costs.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use eso_relay::{stream::Stream, trace::TraceParent};
use eso_relay_ingress::{
    Outgoing, OutgoingConfig, SourceConfig,
    source::{Content, Delivery},
    verify::{Request, Unsigned},
};
use eso_relay_lab::installation::{Hub, READY};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    Scale,
    batch::purge,
    child::BareHandler,
    http::{Webhook, address, per_second},
    report::{Goal, Measure, Unit},
    rounds::alternate,
};

/// A configured source and the requests of its sender, one for each connection.
pub(crate) struct Sender {
    /// The row of the table.
    pub(crate) what: String,
    /// An entry of `sources:`.
    pub(crate) source: Value,
    pub(crate) requests: Vec<Unsigned>,
    pub(crate) goal: Option<Goal>,
}

/// The goal of those who prove themselves by a secret that both sides know.
pub(crate) const GOAL: Goal = Goal::AtLeast(0.70);

/// Accepted requests per second of each ÷ the same requests to a bare axum handler.
pub(crate) async fn beside_bare_handler(
    scale: Scale,
    hub: &Hub,
    senders: Vec<Sender>,
) -> anyhow::Result<Vec<Measure>> {
    let jetstream = hub.jetstream().await?;
    let sources: String = senders
        .iter()
        .map(|sender| format!("- {}\n", sender.source))
        .collect();
    let mut ingress = hub.ingress_with(&sources).start().await?;
    ingress.wait_ready(READY).await?;
    let (bare, address) = (BareHandler::start().await?, address(&ingress.url())?);
    let time = scale.pick(Duration::from_millis(600), Duration::from_millis(100));
    let mut measures = Vec::with_capacity(senders.len());
    for sender in senders {
        sender.is_heard().await.context(sender.what.clone())?;
        let source = sender.source["name"].as_str().unwrap_or_default();
        let requests = sender.requests.iter();
        let webhooks: Arc<[Webhook]> = requests.map(|it| Webhook::new(source, it)).collect();
        let rounds = alternate(
            &sender.what,
            scale.pick(3, 2),
            async || per_second(address, &webhooks, time).await,
            async || per_second(bare.address(), &webhooks, time).await,
        );
        let rounds = rounds.await.context(sender.what.clone())?;
        let what = format!("{} ÷ bare handler", sender.what);
        measures.push(Measure::ratio(what, Unit::PerSecond, &rounds, sender.goal));
        purge(&jetstream, Stream::Events.name()).await?;
    }
    Ok(measures)
}

impl Sender {
    /// Whether its requests mean something: nothing would be published otherwise, and 202 answered.
    async fn is_heard(&self) -> anyhow::Result<()> {
        let config: SourceConfig = serde_json::from_value(self.source.clone())?;
        let source = config.open(&Outgoing::new(&OutgoingConfig::default())?)?;
        let unsigned = self.requests.first().context("a request")?;
        let request = Request {
            headers: &unsigned.headers,
            query: unsigned.query.as_deref(),
            certificate: None,
            now: now(),
        };
        let admitted = source.scheme.admit(&request).await?;
        let body = admitted.verify(unsigned.body.clone().into()).await?;
        let delivery = Delivery {
            headers: &unsigned.headers,
            received_at: now(),
            traceparent: TraceParent::random(),
        };
        let content = source.decode(&body, &delivery)?;
        let heard = matches!(&content, Content::Events { events, .. } if !events.is_empty());
        anyhow::ensure!(heard, "its sample means nothing");
        Ok(())
    }
}

/// Signed times count for a few minutes.
#[expect(clippy::disallowed_methods, reason = "the requests are sent now")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
