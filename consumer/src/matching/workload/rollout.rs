//! How far the last change of a pod template has come, from a workload's status.

use serde_json::Value;

use crate::object::{Rollout, WorkloadKind};

/// The progress of a workload, before its kind is known.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    /// By the numbers of a DaemonSet.
    nodes: Rollout,
    /// By those of any other kind.
    replicas: Rollout,
}

impl Progress {
    pub(super) fn of(metadata: &Value, spec: &Value, status: &Value) -> Self {
        let observed =
            generation(&status["observedGeneration"]) >= generation(&metadata["generation"]);
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let mut progressing = conditions.filter(|condition| condition["type"] == "Progressing");
        let is_stuck = progressing.any(|condition| condition["status"] == "False");
        let waits = waits(spec, status);
        let state = |done: bool| {
            if waits || observed && done {
                Rollout::Done
            } else if observed && is_stuck {
                Rollout::Failed
            } else {
                Rollout::Rolling
            }
        };
        Self {
            nodes: state(on_every_node(status)),
            replicas: state(are_replaced(spec, status) && !is_restarting(spec, status)),
        }
    }

    pub(super) fn rollout(&self, kind: WorkloadKind) -> Rollout {
        match kind {
            WorkloadKind::DaemonSet => self.nodes,
            WorkloadKind::Deployment | WorkloadKind::Rollout | WorkloadKind::StatefulSet => {
                self.replicas
            }
        }
    }
}

/// Whether no controller will replace its pods: it is paused, has none, or has an update strategy `OnDelete`.
fn waits(spec: &Value, status: &Value) -> bool {
    spec["paused"] == true
        || status["phase"] == "Paused"
        || spec["replicas"] == 0
        || spec["updateStrategy"]["type"] == "OnDelete"
}

fn are_replaced(spec: &Value, status: &Value) -> bool {
    let number = |field: &str| status[field].as_i64().unwrap_or_default();
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    // Pods of a StatefulSet below the partition keep the old template.
    let partition = spec["updateStrategy"]["rollingUpdate"]["partition"].as_i64();
    let kept = partition.unwrap_or_default().clamp(0, wanted.max(0));
    let (updated, running) = (number("updatedReplicas"), number("replicas"));
    updated >= wanted - kept && running <= updated + kept && number("availableReplicas") >= running
}

fn on_every_node(status: &Value) -> bool {
    let number = |field: &str| status[field].as_i64().unwrap_or_default();
    let desired = number("desiredNumberScheduled");
    number("updatedNumberScheduled") >= desired && number("numberAvailable") >= desired
}

/// Of a Rollout: whether what `spec.restartAt` asks for is not done.
fn is_restarting(spec: &Value, status: &Value) -> bool {
    let restart_at = &spec["restartAt"];
    restart_at.is_string() && status["restartedAt"] != *restart_at
}

/// A Rollout reports it as text.
fn generation(value: &Value) -> i64 {
    let text = || value.as_str()?.parse().ok();
    value.as_i64().or_else(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::WorkloadKind::{DaemonSet, Deployment, StatefulSet};

    /// Of generation 2.
    fn rollout(kind: WorkloadKind, spec: &Value, status: &Value) -> Rollout {
        Progress::of(&json!({ "generation": 2 }), spec, status).rollout(kind)
    }

    /// Observed generation, replicas, updated, available.
    fn status((observed, replicas, updated, available): (i64, i64, i64, i64)) -> Value {
        json!({ "observedGeneration": observed, "replicas": replicas, "updatedReplicas": updated,
            "availableReplicas": available })
    }

    #[test]
    fn a_rollout_is_done_when_every_pod_is_replaced() {
        use Rollout::{Done, Rolling};
        let three = json!({ "replicas": 3 });
        for (spec, numbers, expected) in [
            (&three, (2, 3, 3, 3), Done),
            (&three, (1, 3, 3, 3), Rolling),
            (&three, (2, 4, 1, 3), Rolling),
            (&three, (2, 4, 3, 4), Rolling),
            (&three, (2, 3, 3, 2), Rolling),
            (&three, (2, 2, 2, 2), Rolling),
            (&json!({}), (2, 1, 1, 1), Done),
            (&json!({ "replicas": 0 }), (1, 0, 0, 0), Done),
            (
                &json!({ "replicas": 3, "paused": true }),
                (1, 3, 0, 3),
                Done,
            ),
        ] {
            assert_eq!(
                rollout(Deployment, spec, &status(numbers)),
                expected,
                "{spec} {numbers:?}"
            );
        }
        let partitioned =
            json!({ "replicas": 3, "updateStrategy": { "rollingUpdate": { "partition": 2 } } });
        assert_eq!(
            rollout(StatefulSet, &partitioned, &status((2, 3, 1, 3))),
            Done
        );
        assert_eq!(
            rollout(StatefulSet, &partitioned, &status((2, 3, 0, 3))),
            Rolling
        );
        for kind in [StatefulSet, DaemonSet] {
            let on_delete = json!({ "updateStrategy": { "type": "OnDelete" } });
            assert_eq!(rollout(kind, &on_delete, &status((1, 3, 0, 3))), Done);
        }
    }

    #[test]
    fn a_daemon_set_counts_nodes() {
        let status = |desired, updated, available| {
            json!({ "observedGeneration": 2, "desiredNumberScheduled": desired,
                "updatedNumberScheduled": updated, "numberAvailable": available })
        };
        for (status, expected) in [
            (status(2, 2, 2), Rollout::Done),
            (status(2, 1, 2), Rollout::Rolling),
            (status(2, 2, 1), Rollout::Rolling),
            (status(0, 0, 0), Rollout::Done),
        ] {
            assert_eq!(
                rollout(DaemonSet, &json!({}), &status),
                expected,
                "{status}"
            );
        }
    }

    #[test]
    fn an_exceeded_deadline_fails_only_the_spec_it_was_seen_for() {
        let status = |observed: i64, state: &str| {
            json!({ "observedGeneration": observed, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1,
                "conditions": [{ "type": "Available", "status": "False" }, { "type": "Progressing", "status": state }] })
        };
        let spec = json!({ "replicas": 2 });
        assert_eq!(
            rollout(Deployment, &spec, &status(2, "False")),
            Rollout::Failed
        );
        assert_eq!(
            rollout(Deployment, &spec, &status(1, "False")),
            Rollout::Rolling
        );
        assert_eq!(
            rollout(Deployment, &spec, &status(2, "True")),
            Rollout::Rolling
        );
    }

    #[test]
    fn a_rollout_of_argo_restarts_until_it_says_so() {
        let status = |restarted: &str| {
            json!({ "observedGeneration": "2", "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1,
                "restartedAt": restarted })
        };
        let spec = json!({ "replicas": 1, "restartAt": "2026-01-02T00:00:00Z" });
        let rollout = |status: &Value| rollout(WorkloadKind::Rollout, &spec, status);
        assert_eq!(rollout(&status("2026-01-02T00:00:00Z")), Rollout::Done);
        assert_eq!(rollout(&status("2026-01-01T00:00:00Z")), Rollout::Rolling);
    }
}
