//! An object of the API, with nothing in it but what we read.

use std::borrow::Cow;

use kube::{
    Resource,
    core::{ApiResource, DynamicResourceScope, ObjectMeta},
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::{IGNORE_ANNOTATION, REFRESH_ANNOTATION};

/// Any of the kinds that we watch. Deserializing it fails for nothing that has `metadata`: an
/// object that cannot be understood must not fail the page or the watch that it comes in.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// Name, namespace, resourceVersion and deletionTimestamp; `managedFields`, the bulk of most
    /// objects, is skipped without being read.
    metadata: ObjectMeta,
    /// The refresh annotation.
    pub(super) refresh: Option<String>,
    /// The owner has opted out.
    pub(super) ignore: bool,
    pub(super) deleting: bool,
    pub(super) labels: Value,
    pub(super) spec: Value,
    pub(super) status: Value,
}

impl Resource for Object {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(kind: &ApiResource) -> Cow<'_, str> {
        kind.kind.as_str().into()
    }

    fn group(kind: &ApiResource) -> Cow<'_, str> {
        kind.group.as_str().into()
    }

    fn version(kind: &ApiResource) -> Cow<'_, str> {
        kind.version.as_str().into()
    }

    fn api_version(kind: &ApiResource) -> Cow<'_, str> {
        kind.api_version.as_str().into()
    }

    fn plural(kind: &ApiResource) -> Cow<'_, str> {
        kind.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            #[serde(default)]
            metadata: Metadata,
            #[serde(default)]
            spec: Value,
            #[serde(default)]
            status: Value,
        }

        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Metadata {
            name: Value,
            namespace: Value,
            resource_version: Value,
            deletion_timestamp: Value,
            annotations: Value,
            labels: Value,
        }

        let Raw {
            metadata,
            spec,
            status,
        } = Raw::deserialize(deserializer)?;
        let refresh = &metadata.annotations[REFRESH_ANNOTATION];
        Ok(Self {
            refresh: refresh.as_str().map(str::to_owned),
            ignore: metadata.annotations[IGNORE_ANNOTATION].as_str() == Some("true"),
            deleting: !metadata.deletion_timestamp.is_null(),
            labels: metadata.labels,
            spec,
            status,
            metadata: ObjectMeta {
                name: text(metadata.name),
                namespace: text(metadata.namespace),
                resource_version: text(metadata.resource_version),
                ..ObjectMeta::default()
            },
        })
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}
