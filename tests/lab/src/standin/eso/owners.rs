//! What ESO's other controller does to the children of a ClusterExternalSecret
//! (`clusterexternalsecret_controller.go`): it makes them, and sets labels and annotations of theirs that
//! are not its own back, at once, while the queue of [`super::queue`] may take seconds to come to them.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use futures::StreamExt;
use kube::{
    Client, ResourceExt,
    api::{DynamicObject, ListParams, Patch, PatchParams, PostParams},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde_json::{Map, Value, json};

use crate::cluster::{Kind, objects};

/// The annotation that an owner hands on.
const FORCE_SYNC: &str = "external-secrets.io/force-sync";
/// Before what the API refused is tried again.
const PAUSE: Duration = Duration::from_millis(100);

type Texts = BTreeMap<String, String>;

pub(super) async fn run(client: Client) {
    let all = |kind| {
        let api = objects(&client, kind, None);
        watcher(api, watcher::Config::default()).default_backoff()
    };
    let mut owners = pin!(all(Kind::ClusterExternalSecret));
    let mut children = pin!(all(Kind::ExternalSecret));
    let mut known = BTreeMap::new();
    loop {
        tokio::select! {
            Some(event) = owners.next() => match event {
                Ok(Event::Apply(owner) | Event::InitApply(owner)) => {
                    until_done(|| reconcile(&client, &owner)).await;
                    known.insert(owner.name_any(), owner);
                }
                Ok(Event::Delete(owner)) => drop(known.remove(&owner.name_any())),
                _ => {}
            },
            Some(event) = children.next() => if let Ok(Event::Apply(child) | Event::InitApply(child)) = event
                && let Some(owner) = owner_of(&child).and_then(|name| known.get(name))
            {
                until_done(|| restore(&client, owner, &child)).await;
            },
            else => return,
        }
    }
}

/// A lost race is as good as done: the watch shows who won it.
async fn until_done<F: Future<Output = kube::Result<()>>>(work: impl Fn() -> F) {
    while let Err(error) = work().await {
        if matches!(&error, kube::Error::Api(status) if matches!(status.code, 404 | 409)) {
            return;
        }
        tracing::debug!(%error, "the stand-in ESO tries again");
        tokio::time::sleep(PAUSE).await;
    }
}

fn owner_of(child: &DynamicObject) -> Option<&str> {
    let mut references = child.owner_references().iter();
    let owner = references.find(|reference| {
        reference.controller == Some(true) && reference.kind == Kind::ClusterExternalSecret.name()
    });
    owner.map(|owner| owner.name.as_str())
}

/// Makes the children that are wanting, and brings the others up to date.
async fn reconcile(client: &Client, owner: &DynamicObject) -> kube::Result<()> {
    let spec = &owner.data["spec"];
    let name = owner.name_any();
    let name = spec["externalSecretName"].as_str().unwrap_or(&name);
    for namespace in spec["namespaces"].as_array().into_iter().flatten() {
        let Some(namespace) = namespace.as_str() else {
            continue;
        };
        let api = objects(client, Kind::ExternalSecret, Some(namespace));
        if api.get_opt(name).await?.is_none() {
            let child = child(owner, namespace, name);
            api.create(&PostParams::default(), &child).await?;
        }
    }
    let all = objects(client, Kind::ExternalSecret, None);
    for child in all.list(&ListParams::default()).await? {
        if owner_of(&child) == Some(&owner.name_any()) {
            restore(client, owner, &child).await?;
        }
    }
    Ok(())
}

fn child(owner: &DynamicObject, namespace: &str, name: &str) -> DynamicObject {
    let mut child = DynamicObject::new(name, &Kind::ExternalSecret.api_resource())
        .within(namespace)
        .data(json!({ "spec": owner.data["spec"]["externalSecretSpec"] }));
    child.metadata.annotations = Some(annotations(owner));
    child.metadata.labels = Some(texts(owner, "labels"));
    child.metadata.owner_references = serde_json::from_value(json!([{
        "apiVersion": "external-secrets.io/v1",
        "kind": Kind::ClusterExternalSecret.name(),
        "name": owner.name_any(),
        "uid": owner.metadata.uid,
        "controller": true,
    }]))
    .ok();
    child
}

/// Metadata of a child are those of its owner's spec and no other.
async fn restore(
    client: &Client,
    owner: &DynamicObject,
    child: &DynamicObject,
) -> kube::Result<()> {
    let (annotations, labels) = (annotations(owner), texts(owner, "labels"));
    if *child.annotations() == annotations && *child.labels() == labels {
        return Ok(());
    }
    let patch = json!({ "metadata": {
        "resourceVersion": child.metadata.resource_version,
        "annotations": replacing(child.annotations(), &annotations),
        "labels": replacing(child.labels(), &labels),
    } });
    let namespace = child.metadata.namespace.as_deref();
    let api = objects(client, Kind::ExternalSecret, namespace);
    let (name, params) = (child.name_any(), PatchParams::default());
    api.patch_metadata(&name, &params, &Patch::Merge(patch))
        .await
        .map(drop)
}

/// What the owner's spec says, and the one annotation that it hands on.
fn annotations(owner: &DynamicObject) -> Texts {
    let mut annotations = texts(owner, "annotations");
    if let Some(value) = owner.annotations().get(FORCE_SYNC) {
        annotations.insert(FORCE_SYNC.to_owned(), value.clone());
    }
    annotations
}

fn texts(owner: &DynamicObject, field: &str) -> Texts {
    let texts = owner.data["spec"]["externalSecretMetadata"][field].clone();
    serde_json::from_value(texts).unwrap_or_default()
}

/// The merge patch that makes one of the other.
fn replacing(before: &Texts, after: &Texts) -> Map<String, Value> {
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let gone = gone.map(|key| (key.clone(), Value::Null));
    let set = after
        .iter()
        .map(|(key, value)| (key.clone(), value.clone().into()));
    gone.chain(set).collect()
}
