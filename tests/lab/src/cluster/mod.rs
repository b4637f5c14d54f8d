//! Objects of a cluster as tests and the demo need them, written as prose, for the real API and the stand-in alike.

mod external_secret;
mod fixture;
mod kind;
mod store;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

pub use external_secret::{ExternalSecretBuilder, external_secret};
pub use fixture::{Fixture, create_all, create_namespace};
pub use kind::{ARGO, GROUP, KES, Kind};
pub use store::{StoreBuilder, cluster_store, store};

/// The annotation that the consumer patches.
pub const REFRESH: &str = "eso-relay.dev/refresh";

/// The objects of a kind: of one namespace, or of all (or of none, for a kind without namespaces).
pub fn objects(client: &Client, kind: Kind, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = kind.api_resource();
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// An ExternalSecret as it is now; `None` when there is none.
pub async fn get(
    client: &Client,
    namespace: &str,
    name: &str,
) -> kube::Result<Option<DynamicObject>> {
    objects(client, Kind::ExternalSecret, Some(namespace))
        .get_opt(name)
        .await
}

/// What ESO has written into a Secret under this key.
pub async fn secret_value(
    client: &Client,
    namespace: &str,
    name: &str,
    key: &str,
) -> anyhow::Result<Option<String>> {
    let secrets = objects(client, Kind::Secret, Some(namespace));
    let Some(secret) = secrets.get_opt(name).await? else {
        return Ok(None);
    };
    let Some(value) = secret.data["data"][key].as_str() else {
        return Ok(None);
    };
    Ok(Some(String::from_utf8(STANDARD.decode(value)?)?))
}

/// Puts these values into a Secret, which is made where there is none.
pub(crate) async fn write_secret(
    client: &Client,
    namespace: &str,
    name: &str,
    values: &BTreeMap<String, String>,
) -> kube::Result<()> {
    let secrets = objects(client, Kind::Secret, Some(namespace));
    let encoded = values
        .iter()
        .map(|(key, value)| (key, STANDARD.encode(value)));
    let data = json!({ "data": encoded.collect::<BTreeMap<_, _>>() });
    let patch = Patch::Merge(&data);
    match secrets.patch(name, &PatchParams::default(), &patch).await {
        Err(kube::Error::Api(status)) if status.code == 404 => {
            let secret = DynamicObject::new(name, &Kind::Secret.api_resource());
            let secret = secret.within(namespace).data(data);
            let created = secrets.create(&PostParams::default(), &secret).await;
            created.map(drop)
        }
        other => other.map(drop),
    }
}

/// The value of [`REFRESH`] on an ExternalSecret; `None` without the annotation or the object.
pub async fn annotation(
    client: &Client,
    namespace: &str,
    name: &str,
) -> kube::Result<Option<String>> {
    let object = get(client, namespace, name).await?;
    Ok(object.and_then(|object| object.metadata.annotations?.remove(REFRESH)))
}

/// Sets [`REFRESH`] on an ExternalSecret, as the consumer would.
pub async fn annotate(
    client: &Client,
    namespace: &str,
    name: &str,
    value: &str,
) -> kube::Result<()> {
    let patch = json!({ "metadata": { "annotations": { REFRESH: value } } });
    let params = PatchParams {
        field_manager: Some("eso-relay-lab".to_owned()),
        ..PatchParams::default()
    };
    objects(client, Kind::ExternalSecret, Some(namespace))
        .patch_metadata(name, &params, &Patch::Merge(&patch))
        .await
        .map(drop)
}

/// The Events of `events.k8s.io` on an object, oldest first, as they are written; those on a kind
/// without namespaces are in `default`.
pub async fn events_on(
    client: &Client,
    kind: Kind,
    namespace: Option<&str>,
    name: &str,
) -> kube::Result<Vec<Value>> {
    let api = objects(client, Kind::Event, namespace.or(Some("default")));
    let events = api.list(&ListParams::default()).await?.into_iter();
    let events = events.map(|event| event.data).filter(|event| {
        let regarding = &event["regarding"];
        regarding["kind"] == kind.name() && regarding["name"] == name
    });
    let mut events: Vec<Value> = events.collect();
    events.sort_by_key(|event| event["eventTime"].as_str().map(str::to_owned));
    Ok(events)
}

/// Deletes an ExternalSecret.
pub async fn delete(client: &Client, namespace: &str, name: &str) -> kube::Result<()> {
    objects(client, Kind::ExternalSecret, Some(namespace))
        .delete(name, &DeleteParams::default())
        .await
        .map(drop)
}

/// Applies every object of a YAML file, as `kubectl apply --server-side -f` does.
pub async fn apply(client: &Client, manifest: &Path) -> anyhow::Result<()> {
    for object in read(manifest)? {
        apply_one(client, &object).await?;
    }
    Ok(())
}

/// The objects of a YAML file.
pub(crate) fn read(manifest: &Path) -> anyhow::Result<Vec<DynamicObject>> {
    let name = || manifest.display().to_string();
    let text = std::fs::read_to_string(manifest).with_context(name)?;
    serde_saphyr::from_multiple(&text).with_context(name)
}

pub(crate) async fn apply_one(client: &Client, object: &DynamicObject) -> anyhow::Result<()> {
    let types = object.types.as_ref().context("an object without a kind")?;
    let resource = ApiResource::from_gvk(&types.try_into()?);
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let params = PatchParams::apply("eso-relay-lab").force();
    let applied = api.patch(name, &params, &Patch::Apply(object)).await;
    applied
        .map(drop)
        .with_context(|| format!("cannot apply {name}"))
}
