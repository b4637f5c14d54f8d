//! The metrics of one source. They are looked up once, so that a request counts without a lookup.

use std::{sync::OnceLock, time::Duration};

use eso_relay::Slug;
use jiff::Timestamp;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};

use super::{Credential, Ignored, Metrics, Name, Result, Source as Labels};
use crate::{
    source::Irrelevant,
    verify::{Scheme, jwt::IssuerKeys},
};

/// What a source may answer. Each is shown at 0: an increase from nothing to 1 is none to Prometheus.
const RESULTS: [&str; 22] = [
    "handshake",
    "origin",
    "unauthorized",
    "unverifiable",
    "unconfirmed",
    "unwanted",
    "too_large",
    "coding",
    "too_slow",
    "broken_body",
    "overloaded",
    "rate_limited",
    "not_json",
    "malformed",
    "too_many",
    "irrelevant",
    "queue_full",
    "disconnected",
    "stream_unusable",
    "stream_full",
    "above_limits",
    "no_ack",
];

/// What a path without a source answers.
const STRANGERS: [&str; 2] = ["not_found", "method_not_allowed"];

/// Those of a source that [`Metrics::show`] has not seen are shown nowhere.
#[derive(Clone, Default)]
pub(crate) struct SourceMetrics {
    accepted: Counter,
    answers: Answers,
    events: Counter,
    last_event: LastEvent,
    /// By [`Irrelevant`].
    ignored: Vec<Counter>,
    lost: Counter,
    credential_failures: Counter,
    jwks: Jwks,
}

/// The counters of the answers of a source, or of paths without one.
#[derive(Clone, Default)]
pub(super) struct Answers {
    known: Vec<(&'static str, Counter)>,
    family: Family<Result, Counter>,
    source: Name,
}

/// When the last event was accepted. The first one shows the series: a 0 would be a moment of 1970.
#[derive(Clone, Default)]
struct LastEvent {
    shown: OnceLock<Gauge>,
    family: Family<Labels, Gauge>,
    source: Name,
}

/// The keys of the source's issuer. Without one there is no series.
#[derive(Clone, Default)]
struct Jwks {
    age: Family<Labels, Gauge>,
    failures: Family<Labels, Counter>,
    source: Name,
}

impl Answers {
    fn new(family: &Family<Result, Counter>, source: Name, results: &[&'static str]) -> Self {
        let known = results.iter().map(|result| {
            let source = source.clone();
            let counter = family.get_or_create_owned(&Result { source, result });
            (*result, counter)
        });
        Self {
            known: known.collect(),
            family: family.clone(),
            source,
        }
    }

    /// Of paths without a source.
    pub(super) fn of_strangers(family: &Family<Result, Counter>) -> Self {
        Self::new(family, Name(None), &STRANGERS)
    }

    pub(super) fn count(&self, result: &'static str) {
        if let Some((_, counter)) = self.known.iter().find(|(known, _)| *known == result) {
            counter.inc();
        } else {
            let source = self.source.clone();
            self.family.get_or_create(&Result { source, result }).inc();
        }
    }
}

impl LastEvent {
    fn set(&self, now: Timestamp) {
        let source = || Labels {
            source: self.source.clone(),
        };
        let shown = self
            .shown
            .get_or_init(|| self.family.get_or_create_owned(&source()));
        shown.set(now.as_second());
    }
}

impl SourceMetrics {
    fn new(metrics: &Metrics, source: &Name) -> Self {
        let labels = Labels {
            source: source.clone(),
        };
        Self {
            events: metrics.events.get_or_create_owned(&labels),
            last_event: LastEvent {
                shown: OnceLock::new(),
                family: metrics.last_event.clone(),
                source: source.clone(),
            },
            ..Self::default()
        }
    }

    /// A request is answered, other than 202.
    pub(crate) fn answered(&self, result: &'static str) {
        self.answers.count(result);
    }

    /// Events are durable.
    pub(crate) fn published(&self, events: usize, now: Timestamp) {
        self.events
            .inc_by(u64::try_from(events).unwrap_or(u64::MAX));
        if events > 0 {
            self.last_event.set(now);
        }
    }

    pub(crate) fn ignored(&self, reasons: impl IntoIterator<Item = Irrelevant>) {
        for reason in reasons {
            if let Some(counter) = self.ignored.get(reason as usize) {
                counter.inc();
            }
        }
    }

    pub(crate) fn lost(&self) {
        self.lost.inc();
    }

    pub(crate) fn credential_failed(&self) {
        self.credential_failures.inc();
    }

    /// The keys of its issuer, as they are now.
    pub(crate) fn jwks(&self, keys: IssuerKeys) {
        let Jwks {
            age,
            failures,
            source,
        } = &self.jwks;
        let source = source.clone();
        let labels = Labels { source };
        if let Some(passed) = keys.age {
            let seconds = i64::try_from(passed.as_secs()).unwrap_or(i64::MAX);
            age.get_or_create(&labels).set(seconds);
        }
        let failures = failures.get_or_create(&labels);
        failures.inc_by(keys.failures.saturating_sub(failures.get()));
    }
}

impl Metrics {
    /// Shows a source of the configuration: where it counts.
    pub(crate) fn show(&self, source: &Slug, scheme: &Scheme) -> SourceMetrics {
        let name = Name::from(source);
        let labels = Labels {
            source: name.clone(),
        };
        let accepted = Result {
            source: name.clone(),
            result: "accepted",
        };
        let ignored = Irrelevant::ALL.map(|reason| {
            let (source, reason) = (name.clone(), reason.reason());
            self.ignored
                .get_or_create_owned(&Ignored { source, reason })
        });
        let shown = SourceMetrics {
            accepted: self.webhooks.get_or_create_owned(&accepted),
            answers: Answers::new(&self.webhooks, name.clone(), &RESULTS),
            ignored: ignored.into(),
            lost: self.lost.get_or_create_owned(&labels),
            credential_failures: self.credentials.get_or_create_owned(&labels),
            jwks: Jwks {
                age: self.jwks_age.clone(),
                failures: self.jwks_failures.clone(),
                source: name.clone(),
            },
            ..SourceMetrics::new(self, &name)
        };
        let mut slots = 0..;
        for credentials in scheme.credentials() {
            credentials.count_uses(|| {
                let credential = Credential {
                    source: name.clone(),
                    slot: slots.next().unwrap_or_default(),
                };
                self.uses.get_or_create_owned(&credential)
            });
        }
        self.credentials_changed(source, scheme);
        shown
    }

    /// A poll has no requests.
    pub(crate) fn of_poll(&self, poll: &Slug) -> SourceMetrics {
        SourceMetrics::new(self, &poll.into())
    }

    /// Events of a request are durable.
    pub(crate) fn accepted(
        &self,
        source: &SourceMetrics,
        events: usize,
        now: Timestamp,
        took: Duration,
    ) {
        source.accepted.inc();
        source.published(events, now);
        self.duration.observe(took.as_secs_f64());
    }

    /// Shows when the files of the source's credentials were changed.
    pub(crate) fn credentials_changed(&self, source: &Slug, scheme: &Scheme) {
        for (slot, changed) in (0..).zip(scheme.credentials_changed()) {
            let credential = Credential {
                source: source.into(),
                slot,
            };
            match changed {
                Some(at) => {
                    self.changed.get_or_create(&credential).set(at);
                }
                None => {
                    self.changed.remove(&credential);
                }
            }
        }
    }
}
