//! The watch list that this cluster publishes for pollers.

use std::sync::atomic::AtomicI64;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::count;

#[derive(Clone, Default)]
pub(crate) struct WatchListMetrics {
    paths: Gauge<i64, AtomicI64>,
    changes: Family<ChangeLabels, Counter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabels {
    result: ChangeResult,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the label's values")]
enum ChangeResult {
    /// A path was published.
    published,
    /// A path that nothing reads was removed.
    removed,
    /// The list could not be brought up to date, and is tried again.
    failed,
}

impl WatchListMetrics {
    pub(super) fn register(&self, ours: &mut Registry) {
        let paths = "Paths of Vault and OpenBao that this cluster reads, as pollers are asked to watch them";
        ours.register("watch_list_paths", paths, self.paths.clone());
        let changes = "Changes of the list of these paths in the stream, by result";
        ours.register("watch_list_changes", changes, self.changes.clone());
        for result in [
            ChangeResult::published,
            ChangeResult::removed,
            ChangeResult::failed,
        ] {
            let changes = self.changes.get_or_create(&ChangeLabels { result });
            changes.inc_by(0);
        }
    }

    pub(crate) fn paths(&self, paths: usize) {
        self.paths.set(count(paths));
    }

    pub(crate) fn published(&self) {
        self.count(ChangeResult::published);
    }

    pub(crate) fn removed(&self) {
        self.count(ChangeResult::removed);
    }

    pub(crate) fn failed(&self) {
        self.count(ChangeResult::failed);
    }

    fn count(&self, result: ChangeResult) {
        self.changes.get_or_create(&ChangeLabels { result }).inc();
    }
}
