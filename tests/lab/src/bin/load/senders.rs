//! Sources in turns with the bare handler: what one sender's scheme or format costs.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::Bytes;
use eso_relay::{stream::Stream, traceparent::TraceParent};
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
    floor::Floor,
    http::{Webhook, address, per_second},
    progress,
    report::{Goal, Measure, Unit},
    rounds::{alternate, median},
};

/// Of a check and a decoding alone.
const SAMPLES: usize = 2000;

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
    let sources: Vec<String> = senders
        .iter()
        .map(|sender| format!("- {}\n", sender.source))
        .collect();
    let mut ingress = hub.ingress_with(&sources.concat()).start().await?;
    ingress.wait_ready(READY).await?;
    let (bare, address) = (Floor::bare().await?, address(&ingress.url())?);
    let time = scale.pick(Duration::from_millis(600), Duration::from_millis(100));
    let mut measures = Vec::with_capacity(senders.len());
    for sender in senders {
        let (check, decoding) = sender.alone().await.context(sender.what.clone())?;
        progress(&format!(
            "{}: alone and in process, the check takes {check:.1} µs, the decoding {decoding:.1} µs",
            sender.what
        ));
        let source = sender.source["name"].as_str().unwrap_or_default();
        let requests = sender.requests.iter();
        let webhooks: Arc<[Webhook]> = requests.map(|it| Webhook::new(source, it)).collect();
        let rounds = alternate(
            &sender.what,
            scale.pick(3, 1),
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
    /// What its check and its decoding cost by themselves, in this process and in microseconds.
    ///
    /// # Errors
    /// Its requests mean nothing: they would be answered 202, and nothing published.
    async fn alone(&self) -> anyhow::Result<(f64, f64)> {
        let config: SourceConfig = serde_json::from_value(self.source.clone())?;
        let source = config.open(&Outgoing::new(&OutgoingConfig::default())?)?;
        let unsigned = self.requests.first().context("a request")?;
        let (headers, now) = (&unsigned.headers, now());
        let request = Request {
            headers,
            query: unsigned.query.as_deref(),
            certificate: None,
            now,
        };
        let body = Bytes::from(unsigned.body.clone());
        let (mut checks, mut decodings) = (Vec::new(), Vec::new());
        for _ in 0..SAMPLES {
            let started = Instant::now();
            let admitted = source.scheme.admit(black_box(&request)).await?;
            let body = admitted.verify(body.clone()).await?;
            let checked = started.elapsed();
            let traceparent = TraceParent::random();
            let started = Instant::now();
            let delivery = Delivery {
                headers,
                received_at: now,
                traceparent,
            };
            let content = black_box(source.decode(&body, &delivery)?);
            let decoded = started.elapsed();
            let heard = matches!(&content, Content::Events { events, .. } if !events.is_empty());
            anyhow::ensure!(heard, "its sample means nothing");
            checks.push(checked.as_secs_f64() * 1e6);
            decodings.push(decoded.as_secs_f64() * 1e6);
        }
        Ok((median(&checks), median(&decodings)))
    }
}

/// Signed times count for a few minutes.
#[expect(clippy::disallowed_methods, reason = "the requests are sent now")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
