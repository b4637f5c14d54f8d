//! How long refreshes take, and what still waits for one.

use std::{
    sync::atomic::{AtomicI64, AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::count;
use crate::{
    engine::Pending,
    matching::{EventKind, Lane},
};

/// The upper bounds of the buckets.
const SYNC_SECONDS: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
const AGE_SECONDS: [f64; 15] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86400.0,
];

#[derive(Clone)]
pub(crate) struct FreshnessMetrics {
    /// From the receipt to the patch: what the users of a secret wait for.
    event_age: Family<AgeLabels, Histogram, fn() -> Histogram>,
    sync_duration: Family<LaneLabels, Histogram, fn() -> Histogram>,
    event_to_sync: Family<LaneLabels, Histogram, fn() -> Histogram>,
    pending: Family<LaneLabels, Gauge<i64, AtomicI64>>,
    oldest_held: Gauge<f64, AtomicU64>,
    unsynced: Family<UnsyncedLabels, Gauge<i64, AtomicI64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AgeLabels {
    lane: Lane,
    kind: EventKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabels {
    lane: Lane,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UnsyncedLabels {
    why: Why,
}

/// Why an object counts as not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the label's values")]
pub(crate) enum Why {
    failed,
    silent,
}

impl Default for FreshnessMetrics {
    fn default() -> Self {
        Self {
            event_age: Family::new_with_constructor(|| Histogram::new(AGE_SECONDS)),
            sync_duration: Family::new_with_constructor(|| Histogram::new(SYNC_SECONDS)),
            event_to_sync: Family::new_with_constructor(|| Histogram::new(AGE_SECONDS)),
            pending: Family::default(),
            oldest_held: Gauge::default(),
            unsynced: Family::default(),
        }
    }
}

impl FreshnessMetrics {
    pub(super) fn register(&self, ours: &mut Registry) {
        self.start_at_zero();
        ours.register_with_unit(
            "event_age",
            "Time from the receipt of an event to its patch",
            Unit::Seconds,
            self.event_age.clone(),
        );
        ours.register_with_unit(
            "sync_duration",
            "Time from a patch to the sync by ESO that the watch showed",
            Unit::Seconds,
            self.sync_duration.clone(),
        );
        ours.register_with_unit(
            "event_to_sync",
            "Time from the receipt of an event to the sync by ESO, for each event and object",
            Unit::Seconds,
            self.event_to_sync.clone(),
        );
        let pending = "Objects that wait for a patch";
        ours.register("pending_targets", pending, self.pending.clone());
        ours.register_with_unit(
            "oldest_held",
            "Time since the receipt of the oldest event at work; 0 without one",
            Unit::Seconds,
            self.oldest_held.clone(),
        );
        let unsynced = "Objects that ESO has not synced since their last patch";
        ours.register("unsynced_objects", unsynced, self.unsynced.clone());
    }

    fn start_at_zero(&self) {
        for lane in Lane::ALL {
            for kind in EventKind::ALL {
                drop(self.event_age.get_or_create(&AgeLabels { lane, kind }));
            }
            drop(self.sync_duration.get_or_create(&LaneLabels { lane }));
            drop(self.event_to_sync.get_or_create(&LaneLabels { lane }));
        }
        self.pending(Pending::default());
        self.unsynced(Why::failed, 0);
        self.unsynced(Why::silent, 0);
    }

    pub(crate) fn event_age(&self, lane: Lane, kind: EventKind, age: Duration) {
        let ages = self.event_age.get_or_create(&AgeLabels { lane, kind });
        ages.observe(age.as_secs_f64());
    }

    pub(crate) fn synced(&self, lane: Lane, after: Duration) {
        let durations = self.sync_duration.get_or_create(&LaneLabels { lane });
        durations.observe(after.as_secs_f64());
    }

    /// `age`: of the event.
    pub(crate) fn event_synced(&self, lane: Lane, age: Duration) {
        let ages = self.event_to_sync.get_or_create(&LaneLabels { lane });
        ages.observe(age.as_secs_f64());
    }

    pub(crate) fn pending(&self, pending: Pending) {
        for (lane, targets) in [(Lane::exact, pending.exact), (Lane::mass, pending.mass)] {
            let waiting = self.pending.get_or_create(&LaneLabels { lane });
            waiting.set(count(targets));
        }
    }

    pub(crate) fn oldest_held(&self, age: Duration) {
        self.oldest_held.set(age.as_secs_f64());
    }

    pub(crate) fn unsynced(&self, why: Why, objects: usize) {
        let unsynced = self.unsynced.get_or_create(&UnsyncedLabels { why });
        unsynced.set(count(objects));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_is_there_from_the_start_and_counts_by_itself() {
        let mut registry = Registry::default();
        let metrics = FreshnessMetrics::default();
        metrics.register(&mut registry);
        let says = |line: &str| {
            let text = eso_relay::metrics::text(&registry).unwrap();
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        };
        says(r#"event_age_seconds_count{lane="exact",kind="replay"} 0"#);
        says(r#"sync_duration_seconds_count{lane="mass"} 0"#);
        says(r#"pending_targets{lane="mass"} 0"#);
        says(r#"unsynced_objects{why="silent"} 0"#);
        says("oldest_held_seconds 0.0");
        metrics.event_age(Lane::mass, EventKind::live, Duration::from_secs(4));
        metrics.synced(Lane::mass, Duration::from_secs(1));
        metrics.event_synced(Lane::exact, Duration::from_secs(2));
        let (exact, mass) = (1, 7);
        metrics.pending(Pending { exact, mass });
        metrics.oldest_held(Duration::from_millis(1500));
        metrics.unsynced(Why::failed, 3);
        says(r#"event_age_seconds_bucket{le="5.0",lane="mass",kind="live"} 1"#);
        says(r#"event_age_seconds_count{lane="exact",kind="live"} 0"#);
        says(r#"sync_duration_seconds_count{lane="mass"} 1"#);
        says(r#"event_to_sync_seconds_sum{lane="exact"} 2.0"#);
        says(r#"pending_targets{lane="mass"} 7"#);
        says(r#"pending_targets{lane="exact"} 1"#);
        says("oldest_held_seconds 1.5");
        says(r#"unsynced_objects{why="failed"} 3"#);
    }
}
