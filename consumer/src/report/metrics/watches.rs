//! The watches of the Kubernetes API.

use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::object::ListKind;

#[derive(Clone, Default)]
pub(crate) struct WatchMetrics {
    restarts: Family<WatchLabels, Counter>,
    last_event: Family<WatchLabels, Gauge<f64, AtomicU64>>,
}

/// `kind`: of the objects that are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WatchLabels {
    kind: &'static str,
}

/// Those of the watches of one kind.
#[derive(Clone)]
pub(crate) struct WatchMeter {
    restarts: Counter,
    labels: WatchLabels,
    metrics: WatchMetrics,
}

impl WatchMetrics {
    pub(super) fn register(&self, ours: &mut Registry) {
        let restarts = "Watches that ended with an error and were started again";
        ours.register("watch_restarts", restarts, self.restarts.clone());
        ours.register(
            "watch_last_event_timestamp_seconds",
            "When a watch last said something, in seconds since 1970",
            self.last_event.clone(),
        );
    }

    /// Shows the kind with 0 restarts.
    pub(crate) fn of(&self, kind: ListKind) -> WatchMeter {
        let labels = WatchLabels { kind: label(kind) };
        WatchMeter {
            restarts: self.restarts.get_or_create_owned(&labels),
            labels,
            metrics: self.clone(),
        }
    }
}

impl WatchMeter {
    pub(crate) fn restarted(&self) {
        self.restarts.inc();
    }

    /// The first one shows the series: a 0 would be a moment of 1970.
    pub(crate) fn said_something(&self, now: Timestamp) {
        let last = self.metrics.last_event.get_or_create(&self.labels);
        last.set(now.as_duration().as_secs_f64());
    }
}

/// As the label `kind` of the other metrics has it.
fn label(kind: ListKind) -> &'static str {
    match kind {
        ListKind::ExternalSecrets => "ExternalSecret",
        ListKind::ClusterExternalSecrets => "ClusterExternalSecret",
        ListKind::KesExternalSecrets => "KES",
        ListKind::SecretStores => "SecretStore",
        ListKind::ClusterSecretStores => "ClusterSecretStore",
        ListKind::Namespaces => "Namespace",
        ListKind::PushSecrets => "PushSecret",
        ListKind::Workloads(kind) => kind.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_shown_from_its_start_and_its_last_word_once_there_is_one() {
        let mut registry = Registry::default();
        let metrics = WatchMetrics::default();
        metrics.register(&mut registry);
        let watch = metrics.of(ListKind::ExternalSecrets);
        let shown = || eso_relay::metrics::text(&registry).unwrap();
        assert!(shown().contains("watch_restarts_total{kind=\"ExternalSecret\"} 0\n"));
        assert!(!shown().contains("watch_last_event"));
        watch.restarted();
        watch.said_something(Timestamp::from_second(1_800_000_000).unwrap());
        let text = shown();
        for line in [
            r#"watch_restarts_total{kind="ExternalSecret"} 1"#,
            r#"watch_last_event_timestamp_seconds{kind="ExternalSecret"} 1800000000.0"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
