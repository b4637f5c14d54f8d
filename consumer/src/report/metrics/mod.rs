//! What `/metrics` says. Labels come from closed sets only.

mod freshness;
mod labels;
mod objects;
mod restarts;
mod watch_list;
mod watches;

use std::{
    sync::atomic::{AtomicI64, AtomicU64},
    time::Duration,
};

use eso_relay::{Slug, stream::Reason, telemetry};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

pub(crate) use self::labels::{
    DeadLetterLabels, DeliveryLabels, DeliveryOutcome, EventLabels, EventResult, KubeEventLabels,
    PatchLabels, PatchResult, SkippedLabels, SyncLabels, SyncResult,
};
use self::{
    freshness::FreshnessMetrics,
    labels::{InfoLabels, ResetLabels},
    restarts::RestartMetrics,
};
pub(crate) use self::{
    freshness::Why,
    objects::ObjectMetrics,
    restarts::RestartResult,
    watch_list::WatchListMetrics,
    watches::{WatchMeter, WatchMetrics},
};
use crate::{
    matching::{MatchResult, index::Stats},
    object::{Outcome, Reset, Unrefreshable},
};

/// The metrics of one consumer, `eso_relay_consumer_…`. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub deliveries: Family<DeliveryLabels, Counter>,
    pub events: Family<EventLabels, Counter>,
    pub skipped: Family<SkippedLabels, Counter>,
    pub dead_letters: Family<DeadLetterLabels, Counter>,
    /// Pull requests that were lost and made again.
    pub lost_pulls: Counter,
    /// Times that events had been removed before this cluster had seen them.
    pub gaps: Counter,
    gap_open: Gauge<i64, AtomicI64>,
    missed: Counter,
    pub stuck: Gauge,
    /// Receipts that found no room on their way to the stream.
    pub lost_receipts: Counter,
    kubernetes_events: Family<KubeEventLabels, Counter>,
    pub patches: Family<PatchLabels, Counter>,
    pub patch_duration: Histogram,
    resets: Family<ResetLabels, Counter>,
    pub syncs: Family<SyncLabels, Counter>,
    pub freshness: FreshnessMetrics,
    pub restarts: RestartMetrics,
    pub watch_list: WatchListMetrics,
    pub watches: WatchMetrics,
    held: Gauge<i64, AtomicI64>,
    away: Gauge<i64, AtomicI64>,
    parked: Gauge<i64, AtomicI64>,
    window: Gauge<i64, AtomicI64>,
    outstanding: Gauge<i64, AtomicI64>,
    pub backlog: Gauge<u64, AtomicU64>,
    pub ack_pending: Gauge<u64, AtomicU64>,
    /// How near the first message that is not acked is to its removal; 1 is removed.
    pub expiry: Gauge<f64, AtomicU64>,
    index: IndexGauges,
}

/// The upper bounds of the buckets.
const PATCH_SECONDS: [f64; 12] = [
    0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            deliveries: Family::default(),
            events: Family::default(),
            skipped: Family::default(),
            dead_letters: Family::default(),
            lost_pulls: Counter::default(),
            gaps: Counter::default(),
            gap_open: Gauge::default(),
            missed: Counter::default(),
            stuck: Gauge::default(),
            lost_receipts: Counter::default(),
            kubernetes_events: Family::default(),
            patches: Family::default(),
            patch_duration: Histogram::new(PATCH_SECONDS),
            resets: Family::default(),
            syncs: Family::default(),
            freshness: FreshnessMetrics::default(),
            restarts: RestartMetrics::default(),
            watch_list: WatchListMetrics::default(),
            watches: WatchMetrics::default(),
            held: Gauge::default(),
            away: Gauge::default(),
            parked: Gauge::default(),
            window: Gauge::default(),
            outstanding: Gauge::default(),
            backlog: Gauge::default(),
            ack_pending: Gauge::default(),
            expiry: Gauge::default(),
            index: IndexGauges::default(),
        };
        metrics.start_at_zero();
        let ours = registry.sub_registry_with_prefix("eso_relay_consumer");
        telemetry::register(ours);
        let deliveries = "Deliveries by how they ended";
        ours.register("deliveries", deliveries, metrics.deliveries.clone());
        let events = "Events by what they meant to this cluster";
        ours.register("events", events, metrics.events.clone());
        let skipped = "Objects that an event means and that a refresh would not reach, by reason";
        ours.register("skipped", skipped, metrics.skipped.clone());
        let dead_letters = "Dead letters stored, by reason";
        ours.register("dead_letters", dead_letters, metrics.dead_letters.clone());
        let lost = "Pull requests that were lost, with the connection or at the server";
        ours.register("lost_pulls", lost, metrics.lost_pulls.clone());
        let gaps = "Times that everything was refreshed because events were missed";
        ours.register("gaps", gaps, metrics.gaps.clone());
        let open = "Whether events were missed and not everything is refreshed yet: 1 or 0";
        ours.register("gap_open", open, metrics.gap_open.clone());
        let missed = "Messages that this cluster has missed, as far as their number is known";
        ours.register("missed_messages", missed, metrics.missed.clone());
        let stuck = "Messages that no replica holds and the server does not deliver again";
        ours.register("stuck_messages", stuck, metrics.stuck.clone());
        let lost = "Receipts that were left out because too many were on their way";
        ours.register("lost_receipts", lost, metrics.lost_receipts.clone());
        let noted = "Kubernetes Events on the objects, by what became of them";
        ours.register(
            "kubernetes_events",
            noted,
            metrics.kubernetes_events.clone(),
        );
        ours.register("patches", "Patches by result", metrics.patches.clone());
        ours.register_with_unit(
            "patch_duration",
            "Time of one patch",
            Unit::Seconds,
            metrics.patch_duration.clone(),
        );
        let resets = "Statuses that were reset before the patch";
        ours.register("resets", resets, metrics.resets.clone());
        let syncs = "What ESO did after a patch, for each event and object";
        ours.register("syncs", syncs, metrics.syncs.clone());
        metrics.freshness.register(ours);
        let held = "Deliveries at work";
        ours.register("held_deliveries", held, metrics.held.clone());
        let away = "Whether the Kubernetes API as a whole does not answer: 1 or 0";
        ours.register("kubernetes_away", away, metrics.away.clone());
        let parked = "Messages that wait in the stream for objects that fail on their own account";
        ours.register("parked_messages", parked, metrics.parked.clone());
        let window = "Objects of mass work that may be patched and not yet synced by ESO";
        ours.register("window", window, metrics.window.clone());
        let outstanding = "Objects that were patched and that ESO has not synced yet";
        ours.register("outstanding", outstanding, metrics.outstanding.clone());
        let backlog = "Messages that the cluster's durable has not delivered yet";
        ours.register("backlog", backlog, metrics.backlog.clone());
        let ack_pending = "Messages delivered to any replica and not acked yet";
        ours.register("ack_pending", ack_pending, metrics.ack_pending.clone());
        let expiry =
            "How near the first message that is not acked is to its removal by age or size";
        ours.register("expiry_ratio", expiry, metrics.expiry.clone());
        metrics.restarts.register(ours);
        metrics.watch_list.register(ours);
        metrics.watches.register(ours);
        metrics.index.register(ours);
        metrics
    }

    /// Shows which cluster this is.
    pub(crate) fn register_info(registry: &mut Registry, cluster: &Slug) {
        let info = Family::<InfoLabels, Gauge>::default();
        let relay_cluster = cluster.to_string();
        info.get_or_create(&InfoLabels { relay_cluster }).set(1);
        let ours = registry.sub_registry_with_prefix("eso_relay_consumer");
        ours.register("info", "1, with the name of the cluster", info);
    }

    /// A series that appears with its first event has no rate over it, and an alert would miss it.
    fn start_at_zero(&self) {
        for outcome in DeliveryOutcome::ALL {
            self.deliveries
                .get_or_create(&DeliveryLabels { outcome })
                .inc_by(0);
        }
        for result in MatchResult::ALL {
            self.events.get_or_create(&EventLabels { result }).inc_by(0);
        }
        for result in PatchResult::ALL {
            self.patches
                .get_or_create(&PatchLabels { result })
                .inc_by(0);
        }
        for result in Reset::ALL {
            self.resets.get_or_create(&ResetLabels { result }).inc_by(0);
        }
        for result in SyncResult::ALL {
            self.syncs.get_or_create(&SyncLabels { result }).inc_by(0);
        }
        for result in EventResult::ALL {
            let noted = self
                .kubernetes_events
                .get_or_create(&KubeEventLabels { result });
            noted.inc_by(0);
        }
        for reason in Unrefreshable::ALL.map(Unrefreshable::as_str) {
            self.skipped
                .get_or_create(&SkippedLabels { reason })
                .inc_by(0);
        }
        for reason in Reason::ALL.map(Reason::as_str) {
            self.dead_letters
                .get_or_create(&DeadLetterLabels { reason })
                .inc_by(0);
        }
    }

    pub(crate) fn ended(&self, outcome: DeliveryOutcome) {
        self.deliveries
            .get_or_create(&DeliveryLabels { outcome })
            .inc();
    }

    pub(crate) fn event(&self, result: MatchResult) {
        self.events.get_or_create(&EventLabels { result }).inc();
    }

    pub(crate) fn skipped(&self, reason: Unrefreshable) {
        let reason = reason.as_str();
        self.skipped.get_or_create(&SkippedLabels { reason }).inc();
    }

    pub(crate) fn dead_letter(&self, reason: Reason) {
        let reason = reason.as_str();
        self.dead_letters
            .get_or_create(&DeadLetterLabels { reason })
            .inc();
    }

    pub(crate) fn patched(&self, outcome: &Outcome, took: Duration) {
        let result = PatchResult::from(outcome);
        self.patches.get_or_create(&PatchLabels { result }).inc();
        self.patch_duration.observe(took.as_secs_f64());
    }

    pub(crate) fn reset(&self, reset: &Reset) {
        let Some(result) = reset.as_str() else { return };
        self.resets.get_or_create(&ResetLabels { result }).inc();
    }

    pub(crate) fn ended_sync(&self, result: SyncResult) {
        self.syncs.get_or_create(&SyncLabels { result }).inc();
    }

    /// The state of the gap, and how many more messages were missed.
    pub(crate) fn gap(&self, open: bool, missed: u64) {
        self.gap_open.set(open.into());
        self.missed.inc_by(missed);
    }

    pub(crate) fn kube_event(&self, result: EventResult) {
        self.kubernetes_events
            .get_or_create(&KubeEventLabels { result })
            .inc();
    }

    pub(crate) fn away(&self, away: bool) {
        self.away.set(away.into());
    }

    pub(crate) fn at_work(&self, held: usize, parked: usize) {
        self.held.set(count(held));
        self.parked.set(count(parked));
    }

    pub(crate) fn pacing(&self, window: usize, outstanding: usize) {
        self.window.set(count(window));
        self.outstanding.set(count(outstanding));
    }

    pub(crate) fn index(&self, stats: Stats) {
        self.index.set(stats);
    }
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[derive(Clone, Default)]
struct IndexGauges {
    objects: Gauge<i64, AtomicI64>,
    references: Gauge<i64, AtomicI64>,
    patterns: Gauge<i64, AtomicI64>,
    stores: Gauge<i64, AtomicI64>,
    malformed: Gauge<i64, AtomicI64>,
}

impl IndexGauges {
    fn register(&self, ours: &mut Registry) {
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

    fn set(&self, stats: Stats) {
        self.objects.set(count(stats.objects));
        self.references.set(count(stats.references));
        self.patterns.set(count(stats.patterns));
        self.stores.set(count(stats.stores));
        self.malformed.set(count(stats.malformed));
    }
}

#[cfg(test)]
mod tests;
