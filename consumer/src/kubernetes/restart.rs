//! Patches a workload so that its controller replaces the pods.
//!
//! A change of the pod template's annotations starts a rollout; of an Argo Rollout, `spec.restartAt` does, and the
//! template stays as it is. One merge patch says also for which events it is, and counts. It holds the
//! `resourceVersion` that the engine has decided over: if anything has changed since, the API answers 409, and a patch
//! whose answer was lost is not made twice.

use jiff::{Timestamp, Unit};
use kube::{Resource as _, api::Patch, core::Request};
use serde_json::{Value, json};

use eso_relay::event::Fingerprint;

use super::{
    Object,
    outcome::RefreshError,
    refresh::{Refresher, params},
};
use crate::object::{ObjectKind, ObjectRef, RESTARTED_FOR_ANNOTATION, WorkloadKind, WorkloadState};

impl Refresher {
    /// Restarts the workload for these events, the newest last. `now` is only for Argo Rollouts.
    pub(crate) async fn restart(
        &self,
        workload: &ObjectRef,
        events: &[Fingerprint],
        over: &WorkloadState,
        now: Timestamp,
    ) -> Result<(), RefreshError> {
        let resource = self.served.version().resource(workload.kind().list());
        let url = Object::url_path(&resource, Some(workload.namespace()));
        let patch = Patch::Merge(patch(workload.kind(), events, over, now));
        let request = Request::new(url).patch_metadata(workload.name(), &params(), &patch)?;
        self.with_timeout(self.send(request)).await
    }
}

fn patch(kind: ObjectKind, events: &[Fingerprint], over: &WorkloadState, now: Timestamp) -> Value {
    let annotations = json!({
        RESTARTED_FOR_ANNOTATION: over.marks.with(events).to_string(),
        over.counter.annotation(): over.restarts.saturating_add(1).to_string(),
    });
    let version = &over.version;
    if kind == ObjectKind::Workload(WorkloadKind::Rollout) {
        // OK to keep the fraction if it cannot be rounded, at the end of time.
        let now = now.round(Unit::Second).unwrap_or(now);
        json!({
            "metadata": { "resourceVersion": version, "annotations": annotations },
            "spec": { "restartAt": now.to_string() },
        })
    } else {
        json!({
            "metadata": { "resourceVersion": version },
            "spec": { "template": { "metadata": { "annotations": annotations } } },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Counter, Rollout};

    const FIRST: &str = "00000000000000000001";
    const SECOND: &str = "00000000000000000002";

    fn over(counter: Counter, restarts: u64) -> WorkloadState {
        WorkloadState {
            version: "17".into(),
            marks: [FIRST.parse().unwrap()].into_iter().collect(),
            counter,
            restarts,
            rollout: Rollout::Done,
            interval: None,
        }
    }

    fn body(kind: WorkloadKind, over: &WorkloadState) -> Value {
        let events = [SECOND.parse().unwrap()];
        let kind = ObjectKind::Workload(kind);
        patch(kind, &events, over, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_template_says_for_which_events_and_how_often() {
        let expected = json!({
            "metadata": { "resourceVersion": "17" },
            "spec": { "template": { "metadata": { "annotations": {
                "eso-relay.dev/restarted-for": format!("{FIRST},{SECOND}"),
                "eso-relay.dev/restarts": "3",
            } } } },
        });
        for kind in [
            WorkloadKind::DaemonSet,
            WorkloadKind::Deployment,
            WorkloadKind::StatefulSet,
        ] {
            assert_eq!(body(kind, &over(Counter::Own, 2)), expected);
        }
    }

    #[test]
    fn the_counter_is_the_one_of_the_tool_that_opted_in() {
        for (counter, annotation) in [
            (
                Counter::SecretsReloader,
                "secrets-reloader.security.bank-vaults.io/secret-reload-count",
            ),
            (
                Counter::Banzaicloud,
                "alpha.vault.security.banzaicloud.io/secret-reload-count",
            ),
        ] {
            let body = body(WorkloadKind::Deployment, &over(counter, 0));
            let annotations = &body["spec"]["template"]["metadata"]["annotations"];
            assert_eq!(annotations[annotation], "1");
            assert_eq!(annotations.as_object().unwrap().len(), 2);
        }
    }

    #[test]
    fn an_argo_rollout_keeps_its_template() {
        let expected = json!({
            "metadata": {
                "resourceVersion": "17",
                "annotations": {
                    "eso-relay.dev/restarted-for": format!("{FIRST},{SECOND}"),
                    "eso-relay.dev/restarts": "1",
                },
            },
            "spec": { "restartAt": "1970-01-01T00:00:00Z" },
        });
        let body = body(WorkloadKind::Rollout, &over(Counter::Own, 0));
        assert_eq!(body, expected);
    }
}
