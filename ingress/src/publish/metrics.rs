//! The metrics of publishing.

use std::sync::atomic::AtomicU64;

use eso_relay::stream::History;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// The metrics of one [`Publisher`](super::Publisher).
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(super) latency: Histogram,
    pub(super) events: Histogram,
    pub(super) messages: Family<MessageLabels, Counter>,
    pub(super) retries: Counter,
    pub(super) waiting: Gauge,
    fill: Gauge<f64, AtomicU64>,
    reach: Gauge<f64, AtomicU64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct MessageLabels {
    pub(super) result: MessageResult,
}

/// How publishing a message ended.
#[expect(
    non_camel_case_types,
    reason = "the label's values, as they are written"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum MessageResult {
    stored,
    full,
    no_ack,
    refused,
    /// Too large for the server or the stream: sent again in two halves, which count by themselves.
    split,
}

impl MessageResult {
    const ALL: [Self; 5] = [
        Self::stored,
        Self::full,
        Self::no_ack,
        Self::refused,
        Self::split,
    ];
}

impl Metrics {
    /// Adds the metrics to the registry of the ingress, which puts `eso_relay_ingress_` before them.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            // 0.5 ms to 16 s.
            latency: Histogram::new(exponential_buckets(0.000_5, 2.0, 16)),
            events: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            messages: Family::default(),
            retries: Counter::default(),
            waiting: Gauge::default(),
            fill: Gauge::default(),
            reach: Gauge::default(),
        };
        for result in MessageResult::ALL {
            let messages = metrics.messages.get_or_create(&MessageLabels { result });
            messages.inc_by(0);
        }
        registry.register_with_unit(
            "publish_latency",
            "From the acceptance of a message's oldest event to the PubAck",
            Unit::Seconds,
            metrics.latency.clone(),
        );
        registry.register(
            "publish_events_per_message",
            "How many events went into one message",
            metrics.events.clone(),
        );
        registry.register(
            "publish_messages",
            "Messages by what became of them",
            metrics.messages.clone(),
        );
        registry.register(
            "publish_retries",
            "Attempts to publish a message after its first one",
            metrics.retries.clone(),
        );
        registry.register(
            "publish_waiting_events",
            "Events that are accepted and not yet sent",
            metrics.waiting.clone(),
        );
        registry.register(
            "stream_fill_ratio",
            "How much of its size the events stream has used; 0 without a limit",
            metrics.fill.clone(),
        );
        registry.register_with_unit(
            "stream_reach",
            "The age of the oldest message of the events stream",
            Unit::Seconds,
            metrics.reach.clone(),
        );
        metrics
    }

    /// What the events stream holds.
    pub(crate) fn stream(&self, history: &History) {
        self.fill.set(history.share());
        self.reach.set(history.reach().as_secs_f64());
    }

    pub(super) fn count(&self, result: MessageResult) {
        self.messages.get_or_create(&MessageLabels { result }).inc();
    }
}
