//! What became of each object, on request: `metrics.objects`.

use std::{collections::HashMap, sync::atomic::AtomicI64};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::SyncResult;
use crate::{
    engine::Step,
    object::{ObjectKind, ObjectRef},
};

/// The most objects that have series.
pub(super) const MAX_OBJECTS: usize = 10_000;

/// Two series for each object that was patched and then synced, or not. They go with the object.
pub(crate) struct ObjectMetrics {
    syncs: Family<SyncLabels, Counter>,
    last_sync: Family<ObjectLabels, Gauge<i64, AtomicI64>>,
    left_out: Counter,
    /// What each object is labelled with.
    known: HashMap<ObjectRef, ObjectLabels>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ObjectLabels {
    kind: &'static str,
    namespace: String,
    name: String,
    /// Providers in the spelling of events, in order, separated by commas.
    backend: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SyncLabels {
    kind: &'static str,
    namespace: String,
    name: String,
    backend: String,
    status: &'static str,
}

impl ObjectMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let this = Self {
            syncs: Family::default(),
            last_sync: Family::default(),
            left_out: Counter::default(),
            known: HashMap::new(),
        };
        let ours = registry.sub_registry_with_prefix("eso_relay_consumer");
        let syncs = "Syncs of each object after a patch, by success";
        ours.register("object_syncs", syncs, this.syncs.clone());
        let last = "Whether the last sync of the object after a patch succeeded: 1 or -1";
        ours.register("object_last_sync", last, this.last_sync.clone());
        let left_out = "Syncs without a series, as too many objects have one";
        ours.register("object_syncs_left_out", left_out, this.left_out.clone());
        this
    }

    /// `backend`: what the object reads from.
    pub(crate) fn step(
        &mut self,
        target: &ObjectRef,
        step: Step,
        backend: impl FnOnce() -> String,
    ) {
        let (status, last) = match SyncResult::of(step) {
            None => return,
            Some(SyncResult::synced) => ("success", 1),
            Some(SyncResult::failed | SyncResult::silent) => ("error", -1),
        };
        let labels = ObjectLabels {
            kind: kind(target.kind()),
            namespace: target.namespace().to_owned(),
            name: target.name().to_owned(),
            backend: backend(),
        };
        if self.known.get(target) != Some(&labels) {
            self.gone(target);
            if self.known.len() >= MAX_OBJECTS {
                self.left_out.inc();
                return;
            }
            self.known.insert(target.clone(), labels.clone());
        }
        self.syncs.get_or_create(&labels.with(status)).inc();
        self.last_sync.get_or_create(&labels).set(last);
    }

    pub(crate) fn gone(&mut self, target: &ObjectRef) {
        if let Some(labels) = self.known.remove(target) {
            self.last_sync.remove(&labels);
            for status in ["success", "error"] {
                self.syncs.remove(&labels.with(status));
            }
        }
    }
}

impl ObjectLabels {
    fn with(&self, status: &'static str) -> SyncLabels {
        let Self {
            kind,
            namespace,
            name,
            backend,
        } = self.clone();
        SyncLabels {
            kind,
            namespace,
            name,
            backend,
            status,
        }
    }
}

fn kind(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::ClusterExternalSecret => "ClusterExternalSecret",
        ObjectKind::ExternalSecret => "ExternalSecret",
        ObjectKind::KesExternalSecret => "KES",
        ObjectKind::PushSecret => "PushSecret",
        ObjectKind::Workload(kind) => kind.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(registry: &Registry) -> String {
        eso_relay::metrics::text(registry).unwrap()
    }

    fn synced(metrics: &mut ObjectMetrics, name: &str, step: Step, backend: &str) {
        let target = ObjectRef::kes("team", name);
        metrics.step(&target, step, || backend.to_owned());
    }

    #[test]
    fn the_series_of_an_object_go_with_it() {
        let mut registry = Registry::default();
        let mut metrics = ObjectMetrics::register(&mut registry);
        synced(&mut metrics, "db", Step::Patched, "vault");
        assert!(!text(&registry).contains("db"), "it may still sync");
        synced(&mut metrics, "db", Step::Synced, "vault");
        synced(&mut metrics, "db", Step::Silent, "vault");
        let labels = r#"kind="KES",namespace="team",name="db",backend="vault""#;
        for line in [
            format!(r#"eso_relay_consumer_object_syncs_total{{{labels},status="success"}} 1"#),
            format!(r#"eso_relay_consumer_object_syncs_total{{{labels},status="error"}} 1"#),
            format!("eso_relay_consumer_object_last_sync{{{labels}}} -1"),
        ] {
            let text = text(&registry);
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        // It reads from elsewhere now.
        synced(&mut metrics, "db", Step::Synced, "aws-sm");
        assert!(!text(&registry).contains("vault"));
        metrics.gone(&ObjectRef::kes("team", "db"));
        assert!(!text(&registry).contains("aws-sm"));
    }

    #[test]
    fn no_more_objects_than_the_bound_have_series() {
        let mut registry = Registry::default();
        let mut metrics = ObjectMetrics::register(&mut registry);
        for at in 0..=MAX_OBJECTS {
            synced(&mut metrics, &at.to_string(), Step::Synced, "vault");
        }
        assert_eq!(metrics.known.len(), MAX_OBJECTS);
        assert_eq!(metrics.left_out.get(), 1);
        metrics.gone(&ObjectRef::kes("team", "0"));
        synced(&mut metrics, "new", Step::Synced, "vault");
        assert_eq!(metrics.left_out.get(), 1);
    }
}
