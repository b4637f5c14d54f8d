//! Traces: finished spans, sent to a collector by OTLP over HTTP. Off unless an endpoint is configured.
//!
//! The daemons hold no span open. Where a fact is known with its times, they make one finished [`Span`] of it and
//! hand it to the [`Tracer`], which never waits: a span that finds no room is dropped and counted.
//!
//! ```text
//! fact ─Span─▶ Tracer ─queue─▶ Exporter ─batch─▶ collector
//! ```

mod config;
mod destination;
mod export;
mod sampler;
mod span;

use std::sync::{Arc, LazyLock};

use anyhow::Context as _;
use opentelemetry_proto::tonic::trace::v1 as proto;
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use tokio::sync::mpsc;
use tracing::info;

pub use self::{
    config::TraceConfig,
    export::Exporter,
    span::{Kind, Span, Value},
};
use self::{destination::Destination, sampler::Sampler};
use crate::traceparent::TraceParent;

/// The most spans that wait to be sent, some KiB each.
const QUEUE: usize = 4096;

/// Of this process: it has one exporter.
static DROPPED: LazyLock<Counter> = LazyLock::new(Counter::default);

/// Decides which traces are recorded, and takes their spans. Clones share one queue. The default is off: then each
/// function is a branch.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Recorder>>);

struct Recorder {
    sampler: Sampler,
    queue: mpsc::Sender<proto::Span>,
}

/// The two ends of the queue. `None` for the second: traces are off.
///
/// `daemon`: the name of the service, unless the configuration has another one.
///
/// # Errors
/// The CA certificates or the headers cannot be read.
pub fn tracer(config: &TraceConfig, daemon: &str) -> anyhow::Result<(Tracer, Option<Exporter>)> {
    let Some(destination) = Destination::of(config, daemon).context("traces")? else {
        return Ok((Tracer::default(), None));
    };
    let (queue, spans) = mpsc::channel(QUEUE);
    info!(endpoint = destination.shown(), "sending traces");
    let recorder = Recorder {
        sampler: config.sampler(),
        queue,
    };
    let exporter = Exporter::new(destination, spans, DROPPED.clone());
    Ok((Tracer(Some(Arc::new(recorder))), Some(exporter)))
}

/// Adds `eso_relay_spans_dropped_total`: give it a registry without a prefix.
pub fn register(registry: &mut Registry) {
    registry.register(
        "eso_relay_spans_dropped",
        "Spans that were dropped because the collector was away, refused them, or was too slow",
        DROPPED.clone(),
    );
}

impl Tracer {
    /// Whether spans are sent at all.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The context of a new span in the trace of `parent`, recorded if the trace is. `None`: traces are off.
    pub fn child_of(&self, parent: TraceParent) -> Option<TraceParent> {
        let recorder = self.0.as_ref()?;
        Some(recorder.sampler.child_of(parent))
    }

    /// The context of a span that starts a trace. `None`: traces are off.
    pub fn root(&self) -> Option<TraceParent> {
        let recorder = self.0.as_ref()?;
        Some(recorder.sampler.sample(TraceParent::random()))
    }

    /// Sends a span, if its trace is recorded. Never waits.
    pub fn finish(&self, span: Span) {
        if let Some(recorder) = &self.0
            && span.is_recorded()
            && recorder.queue.try_send(span.into()).is_err()
        {
            DROPPED.inc();
        }
    }
}

#[cfg(test)]
mod tests;
