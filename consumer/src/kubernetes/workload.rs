//! Reads workloads.

use kube::{Resource as _, core::ObjectMeta};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{
    object::{dynamic_resource, place, watched_metadata},
    policy::Selection,
};
use crate::{
    matching::{index::Change, workload::Manifest},
    object::{ObjectRef, WorkloadKind},
};

/// A workload of any kind. Its deserialization succeeds whatever the fields hold, and keeps no value of a variable,
/// which may be a secret.
#[derive(Debug, Clone)]
pub(crate) struct WorkloadObject {
    /// Name, namespace and resourceVersion.
    metadata: Box<ObjectMeta>,
    manifest: Manifest,
}

dynamic_resource!(WorkloadObject);

impl<'de> Deserialize<'de> for WorkloadObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            #[serde(default)]
            metadata: Value,
            #[serde(default)]
            spec: Value,
            #[serde(default)]
            status: Value,
        }

        let Raw {
            metadata,
            spec,
            status,
        } = Raw::deserialize(deserializer)?;
        Ok(Self {
            manifest: Manifest::of(&metadata, &spec, &status),
            metadata: watched_metadata(&metadata),
        })
    }
}

/// A workload that exists. `None` if it has no name, which no API server serves.
pub(super) fn applied(
    kind: WorkloadKind,
    object: &WorkloadObject,
    selection: &Selection,
) -> Option<Change> {
    let target = target(kind, object)?;
    let workload = object.manifest.workload(target.clone(), &selection.honour);
    Some(workload.map_or(Change::WorkloadGone(target), Change::WorkloadApplied))
}

/// A workload that was deleted.
pub(super) fn deleted(kind: WorkloadKind, object: &WorkloadObject) -> Option<Change> {
    target(kind, object).map(Change::WorkloadGone)
}

fn target(kind: WorkloadKind, object: &WorkloadObject) -> Option<ObjectRef> {
    let (namespace, name) = place(object.meta())?;
    Some(ObjectRef::workload(kind, namespace, name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: Value) -> Option<Change> {
        let object = serde_json::from_value(json).unwrap();
        applied(WorkloadKind::Deployment, &object, &Selection::default())
    }

    fn deployment(annotations: &Value) -> Value {
        json!({
            "metadata": { "namespace": "team", "name": "web", "resourceVersion": "7", "annotations": annotations },
            "spec": { "template": { "spec": { "containers": [{ "env": [
                { "name": "DB", "value": "vault:secret/data/db#password" },
                { "name": "PLAIN", "value": "hunter2" },
                { "name": "MIXED", "value": "hunter2 ${vault:secret/data/db#hunter2} hunter2" },
            ] }] } } },
        })
    }

    #[test]
    fn one_that_has_not_opted_in_is_not_kept() {
        let change = read(deployment(&json!({})));
        assert!(
            matches!(change, Some(Change::WorkloadGone(_))),
            "{change:?}"
        );
        assert!(read(json!({ "metadata": { "name": "web" } })).is_none());
    }

    #[test]
    fn no_value_of_a_variable_is_kept() {
        let json = deployment(&json!({ "eso-relay.dev/restart": "true" }));
        let object: WorkloadObject = serde_json::from_value(json.clone()).unwrap();
        let Some(Change::WorkloadApplied(workload)) = read(json) else {
            panic!("it has opted in");
        };
        assert_eq!(
            (workload.references.len(), &*workload.state.version),
            (1, "7")
        );
        for shown in [format!("{object:?}"), format!("{workload:?}")] {
            assert!(
                shown.contains("secret/data/db") && !shown.contains("hunter2"),
                "{shown}"
            );
        }
    }

    #[test]
    fn malformed_fields_are_named_and_the_rest_counts() {
        let metadata = json!({ "namespace": "team", "name": "web", "annotations": {
            "eso-relay.dev/restart": "true,Hunter2", "eso-relay.dev/restart-interval": "hunter2" } });
        let spec = json!({ "template": { "spec": {
            "initContainers": "hunter2", "containers": [{ "env": "hunter2" }, 7,
                { "envFrom": [{ "secretRef": { "name": "db" } }, "hunter2"] }], "volumes": 7 } } });
        let Some(Change::WorkloadApplied(workload)) =
            read(json!({ "metadata": metadata, "spec": spec }))
        else {
            panic!("it has opted in");
        };
        assert_eq!(workload.reads.len(), 1);
        assert_eq!(
            workload.problems,
            [
                "initContainers of the pod template is not a list",
                "env of containers[0] is not a list",
                "volumes of the pod template is not a list",
                "eso-relay.dev/restart is neither true, false nor a list of names of Secrets",
                "eso-relay.dev/restart-interval is not a duration such as 10m",
            ]
        );
        let malformed = json!({ "metadata": 7, "spec": [], "status": "x" });
        assert!(serde_json::from_value::<WorkloadObject>(malformed).is_ok());
    }
}
