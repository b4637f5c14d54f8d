//! The metrics of the ingress. Label values come from the configuration and closed sets, never from a request.

mod source;

use eso_relay::Slug;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use self::source::Answers;
pub(crate) use self::source::SourceMetrics;

/// The label `source` of requests without a source; not a slug, so no source has this name.
const NO_SOURCE: &str = "-";

#[derive(Clone)]
pub(crate) struct Metrics {
    webhooks: Family<Result, Counter>,
    /// Of paths without a source.
    strangers: Answers,
    events: Family<Source, Counter>,
    last_event: Family<Source, Gauge>,
    ignored: Family<Ignored, Counter>,
    duration: Histogram,
    /// Requests being worked on.
    pub in_flight: Gauge,
    /// Open connections.
    pub connections: Gauge,
    free: Gauge,
    ended: Family<EndedBy, Counter>,
    expiry: Family<Certificate, Gauge>,
    credentials: Family<Source, Counter>,
    uses: Family<Credential, Counter>,
    changed: Family<Credential, Gauge>,
    jwks_age: Family<Source, Gauge>,
    jwks_failures: Family<Source, Counter>,
    /// TLS handshakes that did not succeed.
    pub handshake_failures: Counter,
    lost: Family<Source, Counter>,
}

/// The name of a source; `None` is [`NO_SOURCE`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Name(Option<Slug>);

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        let name = self.0.as_ref().map_or(NO_SOURCE, Slug::as_str);
        name.encode(encoder)
    }
}

impl From<&Slug> for Name {
    fn from(source: &Slug) -> Self {
        Self(Some(source.clone()))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Result {
    source: Name,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ignored {
    source: Name,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Source {
    source: Name,
}

/// `slot`: the place of a credential among those of its source, from 0 on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Credential {
    source: Name,
    slot: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndedBy {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Certificate {
    certificate: &'static str,
}

/// Why the ingress ended a connection that its client would have kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The headers of a request took too long.
    HeaderTimeout,
    /// No request arrived.
    IdleTimeout,
    /// The client did not read its answers.
    WriteTimeout,
    /// It was closed to admit a new one.
    MadeRoom,
    /// Its peer was at its limit of connections.
    PeerBound,
}

impl Ended {
    const ALL: [Self; 5] = [
        Self::HeaderTimeout,
        Self::IdleTimeout,
        Self::WriteTimeout,
        Self::MadeRoom,
        Self::PeerBound,
    ];

    fn reason(self) -> &'static str {
        match self {
            Self::HeaderTimeout => "header_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::MadeRoom => "made_room",
            Self::PeerBound => "peer_bound",
        }
    }
}

/// Counts up now and down when it is dropped, also when a client goes away.
pub(crate) struct Counted(Gauge);

impl Default for Metrics {
    fn default() -> Self {
        const SECONDS: [f64; 12] = [
            0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
        ];
        let webhooks = Family::default();
        Self {
            strangers: Answers::of_strangers(&webhooks),
            webhooks,
            events: Family::default(),
            last_event: Family::default(),
            ignored: Family::default(),
            duration: Histogram::new(SECONDS),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            free: Gauge::default(),
            ended: Family::default(),
            expiry: Family::default(),
            credentials: Family::default(),
            uses: Family::default(),
            changed: Family::default(),
            jwks_age: Family::default(),
            jwks_failures: Family::default(),
            handshake_failures: Counter::default(),
            lost: Family::default(),
        }
    }
}

impl Metrics {
    /// Under the registry's prefix, `eso_relay_ingress`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "webhooks",
            "Requests by source and what was answered",
            metrics.webhooks.clone(),
        );
        registry.register(
            "events",
            "Events accepted and durable, by source",
            metrics.events.clone(),
        );
        registry.register(
            "last_event_timestamp_seconds",
            "When the last event was accepted, in seconds since 1970, by source",
            metrics.last_event.clone(),
        );
        registry.register(
            "ignored",
            "Elements of authenticated bodies that are no change of a secret, by source and reason",
            metrics.ignored.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "From the end of the headers to the answer, of accepted requests",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Requests being worked on",
            metrics.in_flight.clone(),
        );
        registry.register(
            "connections",
            "Open connections",
            metrics.connections.clone(),
        );
        registry.register(
            "connections_free",
            "Connections that may still be opened before others must make room",
            metrics.free.clone(),
        );
        registry.register(
            "connections_ended",
            "Connections that the ingress ended and their clients would have kept, by reason",
            metrics.ended.clone(),
        );
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "When the first certificate in a file of `tls` expires, in seconds since 1970",
            metrics.expiry.clone(),
        );
        for ended in Ended::ALL {
            metrics.ended(ended);
        }
        registry.register(
            "credential_failures",
            "Failed attempts to read a changed secret file or the certificates again, by source",
            metrics.credentials.clone(),
        );
        registry.register(
            "credential_uses",
            "Verified requests by source and the credential that they had",
            metrics.uses.clone(),
        );
        registry.register(
            "credential_changed_timestamp_seconds",
            "When the file of a credential was changed, in seconds since 1970",
            metrics.changed.clone(),
        );
        registry.register_with_unit(
            "jwks_age",
            "Time since the issuer's keys were fetched, by source",
            Unit::Seconds,
            metrics.jwks_age.clone(),
        );
        registry.register(
            "jwks_failures",
            "Failed attempts to fetch the issuer's keys, by source",
            metrics.jwks_failures.clone(),
        );
        registry.register(
            "tls_handshake_failures",
            "TLS handshakes that failed or took too long",
            metrics.handshake_failures.clone(),
        );
        registry.register(
            "lost",
            "Requests of sources that fail open whose events could not be stored, by source",
            metrics.lost.clone(),
        );
        metrics
    }

    /// A request to a path without a source is answered.
    pub(crate) fn refused(&self, result: &'static str) {
        self.strangers.count(result);
    }

    /// The certificates of the port belong to no source.
    pub(crate) fn certificate_failed(&self) {
        self.port().inc();
    }

    /// Shows the failures with the certificates of the port at 0.
    pub(crate) fn expect_certificates(&self) {
        self.port().inc_by(0);
    }

    fn port(&self) -> Counter {
        let source = Name(None);
        self.credentials.get_or_create_owned(&Source { source })
    }

    /// Sets how many connections may still be opened.
    pub(crate) fn free(&self, connections: usize) {
        self.free
            .set(i64::try_from(connections).unwrap_or(i64::MAX));
    }

    pub(crate) fn connection_ended(&self, ended: Ended) {
        self.ended(ended).inc();
    }

    fn ended(&self, ended: Ended) -> Counter {
        let reason = ended.reason();
        self.ended.get_or_create_owned(&EndedBy { reason })
    }

    /// `certificate`: `server` or `client_ca`; seconds since 1970.
    pub(crate) fn certificate_expires(&self, certificate: &'static str, at: i64) {
        let expiry = self.expiry.get_or_create(&Certificate { certificate });
        expiry.set(at);
    }
}

impl Counted {
    pub(crate) fn up(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests;
