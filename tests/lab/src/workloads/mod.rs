//! Workloads that read Secrets, for the real API and the stand-in alike, and a stand-in for the controllers that
//! roll them out: neither API has any.

mod controllers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use kube::{Client, api::DynamicObject};
use serde_json::{Value, json};

pub use self::controllers::{Controllers, ControllersBuilder};
use crate::{
    cluster::{Fixture, Kind, objects},
    installation::Cluster,
    kubernetes_api::crds,
};

/// The opt-in of a workload: `"true"`, or the names of Secrets.
pub const RESTART: &str = "eso-relay.dev/restart";
/// The events that a workload was restarted for.
pub const RESTARTED_FOR: &str = "eso-relay.dev/restarted-for";
/// How often.
pub const RESTARTS: &str = "eso-relay.dev/restarts";
/// The test annotation of a workload whose rollouts fail, but for the first.
const FAILS: &str = "lab.eso-relay.dev/fails";

/// A workload in the making: two replicas of one container, which reads no Secret yet.
#[derive(Debug, Clone)]
#[must_use]
pub struct Workload {
    kind: Kind,
    namespace: String,
    name: String,
    annotations: Vec<(String, String)>,
    spec: Value,
}

impl Workload {
    pub fn deployment(namespace: &str, name: &str) -> Self {
        Self::of(Kind::Deployment, namespace, name)
    }

    pub fn stateful_set(namespace: &str, name: &str) -> Self {
        Self::of(Kind::StatefulSet, namespace, name)
    }

    pub fn daemon_set(namespace: &str, name: &str) -> Self {
        Self::of(Kind::DaemonSet, namespace, name)
    }

    /// Of Argo: see [`serve_rollouts`].
    pub fn rollout(namespace: &str, name: &str) -> Self {
        Self::of(Kind::Rollout, namespace, name)
    }

    pub fn of(kind: Kind, namespace: &str, name: &str) -> Self {
        let labels = json!({ "app": name });
        let mut spec = json!({
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "app", "image": "app:1" }] },
            },
        });
        if kind != Kind::DaemonSet {
            spec["replicas"] = 2.into();
        }
        match kind {
            Kind::StatefulSet => spec["serviceName"] = name.into(),
            Kind::Rollout => spec["strategy"] = json!({ "canary": {} }),
            _ => {}
        }
        Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            annotations: Vec::new(),
            spec,
        }
    }

    /// One variable, by `secretKeyRef`.
    pub fn reads_secret(self, secret: &str) -> Self {
        let from = json!({ "secretKeyRef": { "name": secret, "key": "value" } });
        self.variable(json!({ "valueFrom": from }))
    }

    /// One variable with this value.
    pub fn value(self, value: &str) -> Self {
        self.variable(json!({ "value": value }))
    }

    /// All keys of a Secret, by `envFrom`.
    pub fn env_from(mut self, secret: &str) -> Self {
        let entry = json!({ "secretRef": { "name": secret } });
        push(&mut self.container()["envFrom"], entry);
        self
    }

    /// A volume of a Secret, which the kubelet keeps up to date.
    pub fn mounts_secret(mut self, secret: &str) -> Self {
        let mount = json!({ "name": secret, "mountPath": format!("/secrets/{secret}") });
        push(&mut self.container()["volumeMounts"], mount);
        let volume = json!({ "name": secret, "secret": { "secretName": secret } });
        push(&mut self.spec["template"]["spec"]["volumes"], volume);
        self
    }

    /// Opted in for every Secret that it reads.
    pub fn restart(self) -> Self {
        self.annotated(RESTART, "true")
    }

    /// Opted in for these Secrets.
    pub fn restart_for(self, secrets: &[&str]) -> Self {
        self.annotated(RESTART, &secrets.join(","))
    }

    /// On the object, not on its pod template.
    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations.push((key.to_owned(), value.to_owned()));
        self
    }

    /// On the pod template.
    pub fn template_annotated(mut self, key: &str, value: &str) -> Self {
        self.spec["template"]["metadata"]["annotations"][key] = value.into();
        self
    }

    pub fn replicas(mut self, replicas: u32) -> Self {
        self.spec["replicas"] = replicas.into();
        self
    }

    /// A Deployment that rolls nothing out for now.
    pub fn paused(mut self) -> Self {
        self.spec["paused"] = true.into();
        self
    }

    /// A DaemonSet or StatefulSet whose pods follow the template when somebody deletes them.
    pub fn on_delete(mut self) -> Self {
        self.spec["updateStrategy"] = json!({ "type": "OnDelete" });
        self
    }

    /// The first rollout succeeds, and no later one: its condition `Progressing` becomes `False`; a StatefulSet and
    /// a DaemonSet, which have no such condition, do not go on.
    pub fn fails_to_restart(self) -> Self {
        self.annotated(FAILS, "true")
    }

    /// Creates it; the namespace must be there.
    pub async fn create(self, client: &Client) -> anyhow::Result<DynamicObject> {
        Fixture::from(self).create(client).await
    }

    fn container(&mut self) -> &mut Value {
        &mut self.spec["template"]["spec"]["containers"][0]
    }

    fn variable(mut self, mut variable: Value) -> Self {
        let env = &mut self.container()["env"];
        let others = env.as_array().map_or(0, Vec::len);
        variable["name"] = format!("VALUE_{}", others + 1).into();
        push(env, variable);
        self
    }
}

impl From<Workload> for Fixture {
    fn from(workload: Workload) -> Self {
        let namespace = Some(workload.namespace.as_str());
        let fixture = Self::new(workload.kind, namespace, &workload.name, workload.spec);
        let annotations = workload.annotations.iter();
        annotations.fold(fixture, |fixture, (key, value)| {
            fixture.annotated(key, value)
        })
    }
}

fn push(list: &mut Value, entry: Value) {
    match list.as_array_mut() {
        Some(entries) => entries.push(entry),
        None => *list = json!([entry]),
    }
}

/// The annotations that restarts leave: of the pod template, or of a Rollout itself. Empty without the object.
pub async fn marks(
    client: &Client,
    kind: Kind,
    namespace: &str,
    name: &str,
) -> kube::Result<BTreeMap<String, String>> {
    let object = objects(client, kind, Some(namespace)).get_opt(name).await?;
    let Some(object) = object else {
        return Ok(BTreeMap::new());
    };
    Ok(match kind {
        Kind::Rollout => object.metadata.annotations.unwrap_or_default(),
        _ => template_of(&object),
    })
}

/// The annotations of the pod template.
pub fn template_of(workload: &DynamicObject) -> BTreeMap<String, String> {
    let annotations = &workload.data["spec"]["template"]["metadata"]["annotations"];
    serde_json::from_value(annotations.clone()).unwrap_or_default()
}

/// Serves Argo's Rollouts in this cluster, by a small definition of our own.
pub async fn serve_rollouts(cluster: &Cluster) -> anyhow::Result<()> {
    match cluster.as_stand_in() {
        Some(stand_in) => stand_in.serve_rollouts(),
        None => crds::install_own(cluster.client(), "argo/rollouts.yaml").await?,
    }
    Ok(())
}
