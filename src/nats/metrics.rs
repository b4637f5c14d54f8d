//! What `/metrics` says of the connection to NATS.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_nats::{Event, ServerError};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric as _},
    metrics::{
        MetricType,
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::Registry,
};

/// The metrics of one connection, `eso_relay_nats_…`. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    connected: Gauge,
    was_connected: Arc<AtomicBool>,
    reconnects: Counter,
    errors: Family<ErrorLabels, Counter>,
    /// Of the client certificate.
    pub(super) certificate: Expiry,
    /// Of the JWT in the credentials file.
    pub(super) credentials: Expiry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    kind: ErrorKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the label's values")]
enum ErrorKind {
    /// The user may not publish to, or subscribe to, a subject.
    permissions_violation,
    /// Messages came faster than they were read.
    slow_consumer,
    /// Every other one, each failed attempt to connect included.
    other,
}

impl ErrorKind {
    const ALL: [Self; 3] = [
        Self::permissions_violation,
        Self::slow_consumer,
        Self::other,
    ];

    /// `None`: the event is no error.
    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::ServerError(ServerError::SlowConsumer(_)) | Event::SlowConsumer(_) => {
                Some(Self::slow_consumer)
            }
            Event::ServerError(ServerError::Other(text)) => Some(Self::said(text)),
            Event::ServerError(ServerError::AuthorizationViolation) | Event::ClientError(_) => {
                Some(Self::other)
            }
            Event::Connected
            | Event::Disconnected
            | Event::LameDuckMode
            | Event::Draining
            | Event::Closed => None,
        }
    }

    /// By the first words of the server's text, which subjects follow.
    fn said(text: &str) -> Self {
        let begins = |words: &str| {
            let begin = text.get(..words.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(words))
        };
        if begins("permissions violation") {
            Self::permissions_violation
        } else if begins("slow consumer") {
            Self::slow_consumer
        } else {
            Self::other
        }
    }
}

impl Metrics {
    /// Adds them to a registry without a prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for kind in ErrorKind::ALL {
            metrics
                .errors
                .get_or_create(&ErrorLabels { kind })
                .inc_by(0);
        }
        let ours = registry.sub_registry_with_prefix("eso_relay_nats");
        let connected = "Whether there is a connection to NATS: 1 or 0";
        ours.register("connected", connected, metrics.connected.clone());
        let reconnects = "Connections to NATS after the first one";
        ours.register("reconnects", reconnects, metrics.reconnects.clone());
        let errors = "Errors of the connection to NATS, by kind";
        ours.register("errors", errors, metrics.errors.clone());
        for (name, help, expiry) in [
            (
                "certificate_not_after_timestamp_seconds",
                "When the client certificate for NATS expires, in seconds since 1970",
                &metrics.certificate,
            ),
            (
                "credentials_not_after_timestamp_seconds",
                "When the JWT of the credentials file for NATS expires, in seconds since 1970",
                &metrics.credentials,
            ),
        ] {
            let expiry = expiry.clone();
            ours.register_collector(Box::new(ExpiryGauge { name, help, expiry }));
        }
        metrics
    }

    pub(super) fn observe(&self, event: &Event) {
        match event {
            Event::Connected => {
                self.connected.set(1);
                if self.was_connected.swap(true, Ordering::Relaxed) {
                    self.reconnects.inc();
                }
            }
            Event::Disconnected | Event::Closed => {
                self.connected.set(0);
            }
            _ => {}
        }
        if let Some(kind) = ErrorKind::of(event) {
            self.errors.get_or_create(&ErrorLabels { kind }).inc();
        }
    }
}

/// When something expires, in seconds since 1970; `None`: never, or it is unknown.
#[derive(Debug, Clone, Default)]
pub(super) struct Expiry(Arc<Mutex<Option<i64>>>);

impl Expiry {
    pub(super) fn set(&self, at: Option<i64>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    fn get(&self) -> Option<i64> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A gauge that is absent where nothing expires: a 0 would be a moment of 1970.
#[derive(Debug)]
struct ExpiryGauge {
    name: &'static str,
    help: &'static str,
    expiry: Expiry,
}

impl Collector for ExpiryGauge {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let Some(at) = self.expiry.get() else {
            return Ok(());
        };
        let gauge = encoder.encode_descriptor(self.name, self.help, None, MetricType::Gauge)?;
        ConstGauge::new(at).encode(gauge)
    }
}

#[cfg(test)]
mod tests {
    use async_nats::ClientError;

    use super::*;

    fn shown(registry: &Registry) -> String {
        crate::metrics::text(registry).unwrap()
    }

    #[test]
    fn only_a_connection_after_the_first_is_a_reconnect() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let says = |line: &str| shown(&registry).lines().any(|found| found == line);
        assert!(says("eso_relay_nats_connected 0"));
        metrics.observe(&Event::Connected);
        assert!(says("eso_relay_nats_connected 1") && says("eso_relay_nats_reconnects_total 0"));
        metrics.observe(&Event::Disconnected);
        assert!(says("eso_relay_nats_connected 0"));
        metrics.observe(&Event::Connected);
        assert!(says("eso_relay_nats_connected 1") && says("eso_relay_nats_reconnects_total 1"));
    }

    #[test]
    fn errors_are_counted_by_kind() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let server = |text: &str| Event::ServerError(ServerError::Other(text.to_owned()));
        for (event, kind) in [
            (
                server("Permissions Violation for Publish to \"eso-relay.events.v1.a.b\""),
                "permissions_violation",
            ),
            (
                server("'Permissions Violation' is the name of a subject"),
                "other",
            ),
            (server("Slow Consumer Detected"), "slow_consumer"),
            (Event::SlowConsumer(7), "slow_consumer"),
            (
                Event::ServerError(ServerError::AuthorizationViolation),
                "other",
            ),
            (
                Event::ClientError(ClientError::Other("refused".into())),
                "other",
            ),
            (server("ü"), "other"),
        ] {
            let line = format!(r#"eso_relay_nats_errors_total{{kind="{kind}"}} "#);
            let count = || {
                let text = shown(&registry);
                let value = text.lines().find_map(|found| found.strip_prefix(&line));
                value.unwrap().parse::<u64>().unwrap()
            };
            let before = count();
            metrics.observe(&event);
            assert_eq!(count(), before + 1, "{event:?}");
        }
        metrics.observe(&Event::LameDuckMode);
        assert!(shown(&registry).contains(r#"errors_total{kind="other"} 4"#));
    }

    #[test]
    fn without_anything_that_expires_there_is_no_series() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        assert!(!shown(&registry).contains("not_after"));
        metrics.certificate.set(Some(1_900_000_000));
        let text = shown(&registry);
        let line = "eso_relay_nats_certificate_not_after_timestamp_seconds 1900000000\n";
        assert!(text.contains(line), "{text}");
        assert!(!text.contains("credentials_not_after"));
        metrics.certificate.set(None);
        assert!(!shown(&registry).contains("not_after"));
    }
}
