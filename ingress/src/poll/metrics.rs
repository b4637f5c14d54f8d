//! The metrics of the pollers. Label values come from the configuration and closed sets.

use eso_relay::Slug;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// What could not be read of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Failure {
    /// A secret or folder does not exist.
    Missing,
    /// The policy does not allow it, or the login failed.
    Denied,
    /// A mount without versions.
    Unversioned,
    /// The store is sealed, or has no leader.
    Sealed,
    /// No answer, or one that is none.
    Unreachable,
    /// The store asks for fewer requests.
    Throttled,
}

impl Failure {
    const ALL: [Self; 6] = [
        Self::Missing,
        Self::Denied,
        Self::Unversioned,
        Self::Sealed,
        Self::Unreachable,
        Self::Throttled,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Denied => "denied",
            Self::Unversioned => "unversioned",
            Self::Sealed => "sealed",
            Self::Unreachable => "unreachable",
            Self::Throttled => "throttled",
        }
    }
}

#[derive(Clone, Default)]
pub(crate) struct Metrics {
    passes: Family<Source, Counter>,
    paths: Family<Source, Gauge>,
    active: Family<Source, Gauge>,
    failures: Family<Failed, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name(Slug);

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        self.0.as_str().encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Source {
    source: Name,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    source: Name,
    reason: &'static str,
}

impl Metrics {
    /// Under the registry's prefix, `eso_relay_ingress`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "poll_passes",
            "Passes that looked at every path, by source",
            self.passes.clone(),
        );
        registry.register(
            "poll_paths",
            "Secrets that the last pass looked at, by source",
            self.paths.clone(),
        );
        registry.register(
            "poll_active",
            "1 on the replica that polls, else 0, by source",
            self.active.clone(),
        );
        registry.register(
            "poll_failures",
            "What could not be read of polled stores, by source and reason",
            self.failures.clone(),
        );
    }

    /// Shows a poll of the configuration at 0.
    pub(super) fn expect(&self, poll: &Slug) {
        self.passes.get_or_create(&source(poll)).inc_by(0);
        self.paths.get_or_create(&source(poll)).set(0);
        self.active(poll, false);
        for failure in Failure::ALL {
            self.failures
                .get_or_create(&failed(poll, failure))
                .inc_by(0);
        }
    }

    pub(super) fn failed(&self, poll: &Slug, failure: Failure) {
        self.failures.get_or_create(&failed(poll, failure)).inc();
    }

    pub(super) fn active(&self, poll: &Slug, active: bool) {
        self.active.get_or_create(&source(poll)).set(active.into());
    }

    pub(super) fn passed(&self, poll: &Slug, paths: u64) {
        self.passes.get_or_create(&source(poll)).inc();
        let paths = paths.try_into().unwrap_or(i64::MAX);
        self.paths.get_or_create(&source(poll)).set(paths);
    }

    #[cfg(test)]
    pub(super) fn failures(&self, poll: &Slug, failure: Failure) -> u64 {
        self.failures.get_or_create(&failed(poll, failure)).get()
    }
}

fn source(poll: &Slug) -> Source {
    Source {
        source: Name(poll.clone()),
    }
}

fn failed(poll: &Slug, failure: Failure) -> Failed {
    Failed {
        source: Name(poll.clone()),
        reason: failure.as_str(),
    }
}
