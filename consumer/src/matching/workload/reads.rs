//! Which Secrets and ConfigMaps the pods of a workload read.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use super::Problems;

/// An object that holds values for pods, in the namespace of the object that names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ValuesRef {
    ConfigMap(Box<str>),
    Secret(Box<str>),
}

impl fmt::Display for ValuesRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConfigMap(name) => write!(f, "ConfigMap/{name}"),
            Self::Secret(name) => write!(f, "Secret/{name}"),
        }
    }
}

/// How a new value reaches a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seen {
    /// The pod sees only the value of its start: variables, and volumes with a `subPath`.
    AtStart,
    /// The kubelet updates the files of a volume.
    InPlace,
}

pub(super) type Uses = BTreeMap<ValuesRef, Seen>;

/// By containers and init containers. Not `imagePullSecrets`, and not ephemeral containers.
pub(super) fn of(pod: &Value, problems: &mut Problems) -> Uses {
    let mut uses = Uses::new();
    let mut at_start = Vec::new();
    for (place, container) in containers(pod, problems) {
        for variable in problems.list(container, "env", &place) {
            let from = &variable["valueFrom"];
            for values in named(
                &from["secretKeyRef"]["name"],
                &from["configMapKeyRef"]["name"],
            ) {
                uses.insert(values, Seen::AtStart);
            }
        }
        for source in problems.list(container, "envFrom", &place) {
            for values in named(
                &source["secretRef"]["name"],
                &source["configMapRef"]["name"],
            ) {
                uses.insert(values, Seen::AtStart);
            }
        }
        let mounts = problems.list(container, "volumeMounts", &place).iter();
        let by_part = |mount: &&Value| {
            let is_set = |field: &str| mount[field].as_str().is_some_and(|path| !path.is_empty());
            is_set("subPath") || is_set("subPathExpr")
        };
        at_start.extend(
            mounts
                .filter(by_part)
                .filter_map(|mount| mount["name"].as_str()),
        );
    }
    for volume in problems.list(pod, "volumes", "the pod template") {
        let name = volume["name"].as_str();
        let seen = if name.is_some_and(|name| at_start.contains(&name)) {
            Seen::AtStart
        } else {
            Seen::InPlace
        };
        let direct = named(
            &volume["secret"]["secretName"],
            &volume["configMap"]["name"],
        );
        let projected = volume["projected"]["sources"]
            .as_array()
            .into_iter()
            .flatten();
        let projected = projected
            .flat_map(|source| named(&source["secret"]["name"], &source["configMap"]["name"]));
        for values in direct.into_iter().chain(projected) {
            let known = uses.entry(values).or_insert(seen);
            *known = seen.min(*known);
        }
    }
    uses
}

/// Each with its place for problems.
pub(super) fn containers<'p>(pod: &'p Value, problems: &mut Problems) -> Vec<(String, &'p Value)> {
    let mut all = Vec::new();
    for field in ["initContainers", "containers"] {
        let containers = problems.list(pod, field, "the pod template");
        all.extend(
            (0..)
                .zip(containers)
                .map(|(at, container): (usize, _)| (format!("{field}[{at}]"), container)),
        );
    }
    all
}

fn named(secret: &Value, config_map: &Value) -> Vec<ValuesRef> {
    let name = |value: &Value| -> Option<Box<str>> {
        let name = value.as_str().filter(|name| !name.is_empty());
        name.map(Into::into)
    };
    let secret = name(secret).map(ValuesRef::Secret);
    secret
        .into_iter()
        .chain(name(config_map).map(ValuesRef::ConfigMap))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(pod: &Value) -> Vec<String> {
        let mut problems = Problems::default();
        let uses = of(pod, &mut problems).into_iter();
        let shown = uses
            .map(|(values, seen)| format!("{values} {seen:?}"))
            .collect();
        assert!(problems.0.is_empty(), "{problems:?}");
        shown
    }

    #[test]
    fn a_secret_is_read_in_every_place() {
        let container = |container: Value| json!({ "containers": [container] });
        let mounted = |mount: Value, volume: Value| json!({ "initContainers": [{ "volumeMounts": [mount] }], "volumes": [volume] });
        for (pod, expected) in [
            (
                container(
                    json!({ "env": [{ "valueFrom": { "secretKeyRef": { "name": "a", "key": "k" } } }] }),
                ),
                &["Secret/a AtStart"][..],
            ),
            (
                container(
                    json!({ "env": [{ "valueFrom": { "configMapKeyRef": { "name": "a" } } }] }),
                ),
                &["ConfigMap/a AtStart"],
            ),
            (
                container(
                    json!({ "envFrom": [{ "secretRef": { "name": "a" } }, { "configMapRef": { "name": "b" } }] }),
                ),
                &["ConfigMap/b AtStart", "Secret/a AtStart"],
            ),
            (
                json!({ "initContainers": [{ "envFrom": [{ "secretRef": { "name": "a" } }] }] }),
                &["Secret/a AtStart"],
            ),
            (
                mounted(
                    json!({ "name": "v" }),
                    json!({ "name": "v", "secret": { "secretName": "a" } }),
                ),
                &["Secret/a InPlace"],
            ),
            (
                mounted(
                    json!({ "name": "v", "subPath": "x" }),
                    json!({ "name": "v", "secret": { "secretName": "a" } }),
                ),
                &["Secret/a AtStart"],
            ),
            (
                mounted(
                    json!({ "name": "v", "subPathExpr": "$(X)" }),
                    json!({ "name": "v", "configMap": { "name": "a" } }),
                ),
                &["ConfigMap/a AtStart"],
            ),
            (
                mounted(
                    json!({ "name": "other", "subPath": "x" }),
                    json!({ "name": "v", "projected": { "sources": [
                { "secret": { "name": "a" } }, { "configMap": { "name": "b" } }, { "serviceAccountToken": {} } ] } }),
                ),
                &["ConfigMap/b InPlace", "Secret/a InPlace"],
            ),
            (
                json!({ "containers": [{ "env": [{ "valueFrom": { "secretKeyRef": { "name": "a" } } }] }], "volumes": [{ "name": "v", "secret": { "secretName": "a" } }] }),
                &["Secret/a AtStart"],
            ),
            (json!({ "imagePullSecrets": [{ "name": "a" }] }), &[]),
            (
                json!({ "ephemeralContainers": [{ "envFrom": [{ "secretRef": { "name": "a" } }] }] }),
                &[],
            ),
            (
                container(json!({ "env": [{ "name": "X", "value": "hunter2" }] })),
                &[],
            ),
            (json!(null), &[]),
        ] {
            assert_eq!(shown(&pod), expected, "{pod}");
        }
    }
}
