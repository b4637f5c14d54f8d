//! How large the index is.

use std::sync::atomic::AtomicI64;

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

use super::count;
use crate::matching::index::Stats;

#[derive(Clone, Default)]
pub(super) struct Size {
    objects: Gauge<i64, AtomicI64>,
    references: Gauge<i64, AtomicI64>,
    patterns: Gauge<i64, AtomicI64>,
    stores: Gauge<i64, AtomicI64>,
    malformed: Gauge<i64, AtomicI64>,
}

impl Size {
    pub(super) fn register(&self, ours: &mut Registry) {
        for (name, help, gauge) in [
            ("objects", "ExternalSecrets in the index", &self.objects),
            ("references", "Keys that they refer to", &self.references),
            (
                "patterns",
                "Searches by name or path in the index",
                &self.patterns,
            ),
            ("stores", "Stores in the index", &self.stores),
            (
                "malformed_objects",
                "ExternalSecrets of which something could not be read",
                &self.malformed,
            ),
        ] {
            ours.register(format!("index_{name}"), help, gauge.clone());
        }
    }

    pub(super) fn set(&self, stats: Stats) {
        self.objects.set(count(stats.objects));
        self.references.set(count(stats.references));
        self.patterns.set(count(stats.patterns));
        self.stores.set(count(stats.stores));
        self.malformed.set(count(stats.malformed));
    }
}
