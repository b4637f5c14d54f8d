//! What became of restarts. Without any, there is no series.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{
    engine::{NotRestarted, RolloutResult, Step},
    object::{Fault, ObjectKind, ObjectRef, Outcome},
};

#[derive(Clone)]
pub(crate) struct RestartMetrics {
    results: Family<RestartLabels, Counter>,
    /// From the sync to the patch of the workload.
    duration: Family<WorkloadLabels, Histogram, fn() -> Histogram>,
}

/// `kind`: of the workload, as in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RestartLabels {
    kind: &'static str,
    result: RestartResult,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WorkloadLabels {
    kind: &'static str,
}

/// What became of a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the label's values")]
pub(crate) enum RestartResult {
    /// The workload was patched.
    restarted,
    /// The patch failed, and is tried again.
    retried,
    /// All pods are replaced.
    rolled_out,
    /// They do not become ready.
    rollout_failed,
    /// An event does not restart a workload, for a reason.
    not_restarted,
}

impl RestartResult {
    pub(crate) fn of(rollout: RolloutResult) -> Self {
        match rollout {
            RolloutResult::Done => Self::rolled_out,
            RolloutResult::Failed => Self::rollout_failed,
        }
    }
}

impl Default for RestartMetrics {
    fn default() -> Self {
        let buckets = || Histogram::new([1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0]);
        Self {
            results: Family::default(),
            duration: Family::new_with_constructor(buckets),
        }
    }
}

impl RestartMetrics {
    pub(super) fn register(&self, ours: &mut Registry) {
        let results = "Restarts of workloads, by what became of them";
        ours.register("restarts", results, self.results.clone());
        ours.register_with_unit(
            "restart_duration",
            "Time from the sync by ESO to the restart of a workload that follows it",
            Unit::Seconds,
            self.duration.clone(),
        );
    }

    /// A step of an event at a workload.
    pub(crate) fn step(&self, workload: &ObjectRef, step: Step, after: Duration) {
        match step {
            Step::NotRestarted(NotRestarted::Superseded) => {}
            Step::NotRestarted(_) => self.count(workload, RestartResult::not_restarted),
            // Otherwise it was restarted before.
            Step::Restarted if !after.is_zero() => {
                let kind = kind(workload);
                let duration = self.duration.get_or_create(&WorkloadLabels { kind });
                duration.observe(after.as_secs_f64());
            }
            _ => {}
        }
    }

    /// A restart has a result. What ends it without one is a step.
    pub(crate) fn answered(&self, workload: &ObjectRef, outcome: &Outcome) {
        match outcome {
            Outcome::Done => self.count(workload, RestartResult::restarted),
            Outcome::Retry {
                fault: Fault::Cluster | Fault::Object,
                ..
            } => self.count(workload, RestartResult::retried),
            Outcome::Retry {
                fault: Fault::Permission,
                ..
            }
            | Outcome::Gone
            | Outcome::Refused { .. } => {}
        }
    }

    pub(crate) fn rolled_out(&self, workload: &ObjectRef, result: RolloutResult) {
        self.count(workload, RestartResult::of(result));
    }

    fn count(&self, workload: &ObjectRef, result: RestartResult) {
        let kind = kind(workload);
        let labels = RestartLabels { kind, result };
        self.results.get_or_create(&labels).inc();
    }
}

fn kind(workload: &ObjectRef) -> &'static str {
    match workload.kind() {
        ObjectKind::Workload(kind) => kind.as_str(),
        ObjectKind::ClusterExternalSecret
        | ObjectKind::ExternalSecret
        | ObjectKind::KesExternalSecret
        | ObjectKind::PushSecret => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::WorkloadKind;

    #[test]
    fn a_restart_is_counted_by_kind_and_result() {
        let mut registry = Registry::default();
        let metrics = RestartMetrics::default();
        metrics.register(&mut registry);
        let web = ObjectRef::workload(WorkloadKind::StatefulSet, "apps", "web");
        metrics.answered(&web, &Outcome::Done);
        metrics.step(&web, Step::Restarted, Duration::from_secs(7));
        metrics.rolled_out(&web, RolloutResult::Failed);
        metrics.step(
            &web,
            Step::NotRestarted(NotRestarted::NotSynced),
            Duration::ZERO,
        );
        metrics.step(
            &web,
            Step::NotRestarted(NotRestarted::Superseded),
            Duration::ZERO,
        );
        let text = eso_relay::metrics::text(&registry).unwrap();
        for line in [
            r#"restarts_total{kind="StatefulSet",result="restarted"} 1"#,
            r#"restarts_total{kind="StatefulSet",result="rollout_failed"} 1"#,
            r#"restarts_total{kind="StatefulSet",result="not_restarted"} 1"#,
            r#"restart_duration_seconds_count{kind="StatefulSet"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
