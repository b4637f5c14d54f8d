//! An object of the API, with nothing in it but what we read.

use std::borrow::Cow;

use kube::{
    Resource,
    core::{ApiResource, DynamicResourceScope, ObjectMeta},
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::object::{
    FORCE_ANNOTATION, FORCE_SYNC_ANNOTATION, Hashed, IGNORE_ANNOTATION, REFRESH_ANNOTATION,
    RefreshMark, SyncState, SyncVersion, Uid,
};

/// Any of the kinds that we watch. Deserializing it fails for nothing that has `metadata`: an
/// object that cannot be understood must not fail the page or the watch that it comes in.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// Name, namespace, resourceVersion and deletionTimestamp; `managedFields`, the bulk of most
    /// objects, is skipped without being read. Boxed, because an object is moved often on its way and
    /// this is most of its size.
    metadata: Box<ObjectMeta>,
    /// The refresh annotation.
    pub(super) refresh: Option<String>,
    /// That of an owner, and what ESO copies of it to what it owns.
    pub(super) force_sync: Option<String>,
    /// The ClusterExternalSecret that controls it.
    pub(super) owner: Option<String>,
    pub(super) directive: Directive,
    pub(super) deleting: bool,
    /// What the status says of the metadata as they are.
    pub(super) sync: SyncState,
    pub(super) version: SyncVersion,
    /// What ESO refreshes at the next change of the metadata, whatever the policy.
    pub(super) pending: PendingWork,
    pub(super) uid: Option<Uid>,
    pub(super) labels: Value,
    pub(super) spec: Value,
    /// Whether the Secret is there, as far as that shows without a look at it.
    pub(super) written: bool,
    /// When ESO did its work on it last, as it stands in the status.
    pub(super) refresh_time: Value,
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
            uid: Value,
            generation: Value,
            resource_version: Value,
            deletion_timestamp: Value,
            annotations: Value,
            labels: Value,
            owner_references: Value,
        }

        let Raw {
            metadata,
            spec,
            status,
        } = Raw::deserialize(deserializer)?;
        let annotation = |name: &str| metadata.annotations[name].as_str().map(str::to_owned);
        let hashed = Hashed {
            generation: metadata.generation.as_i64().unwrap_or_default(),
            annotations: &metadata.annotations,
            labels: &metadata.labels,
        };
        Ok(Self {
            sync: SyncState::of(hashed, &status),
            version: SyncVersion::of(&status),
            pending: PendingWork::of(&status),
            uid: metadata.uid.as_str().and_then(|uid| uid.parse().ok()),
            refresh: annotation(REFRESH_ANNOTATION),
            force_sync: annotation(FORCE_SYNC_ANNOTATION),
            owner: owner(&metadata.owner_references),
            directive: Directive::of(&metadata.annotations),
            deleting: !metadata.deletion_timestamp.is_null(),
            written: written(&status),
            refresh_time: status["refreshTime"].clone(),
            labels: metadata.labels,
            spec,
            metadata: Box::new(ObjectMeta {
                name: text(metadata.name),
                namespace: text(metadata.namespace),
                resource_version: text(metadata.resource_version),
                ..ObjectMeta::default()
            }),
        })
    }
}

/// What the object says of refreshes by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Directive {
    #[default]
    None,
    /// None at all: [`IGNORE_ANNOTATION`].
    Ignored,
    /// Whatever its policy: [`FORCE_ANNOTATION`].
    Forced,
}

impl Directive {
    fn of(annotations: &Value) -> Self {
        let says = |annotation: &str| annotations[annotation].as_str() == Some("true");
        if says(IGNORE_ANNOTATION) {
            Self::Ignored
        } else if says(FORCE_ANNOTATION) {
            Self::Forced
        } else {
            Self::None
        }
    }
}

/// What ESO still has to do for an object, as its status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PendingWork {
    /// It has never synced it: `syncedResourceVersion` is empty.
    pub(super) first_sync: bool,
    /// It has never read its values: `refreshTime` is zero.
    pub(super) first_read: bool,
    /// What it writes to is not there, by ESO's own word (ESO `isSecretValid`).
    pub(super) target: bool,
}

impl PendingWork {
    fn of(status: &Value) -> Self {
        let text = |field: &str| status[field].as_str().unwrap_or_default();
        let time = text("refreshTime");
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let ready = conditions.filter(|it| it["type"] == "Ready");
        let mut reasons = ready.filter_map(|it| it["reason"].as_str());
        Self {
            first_sync: text("syncedResourceVersion").is_empty(),
            first_read: time.is_empty() || time.starts_with("0001-"),
            target: reasons.any(|reason| {
                let absent = [
                    "SecretDeleted",
                    "SecretMissing",
                    "ResourceDeleted",
                    "ResourceMissing",
                ];
                absent.contains(&reason)
            }),
        }
    }
}

/// A page of objects is kept until the last is read; of their status only this.
fn written(status: &Value) -> bool {
    let named = status["binding"]["name"].as_str();
    named.is_some_and(|name| !name.is_empty()) || !status["refreshTime"].is_null()
}

fn owner(references: &Value) -> Option<String> {
    let mut references = references.as_array()?.iter();
    let controller = references.find(|reference| {
        let group = reference["apiVersion"].as_str();
        reference["controller"] == true
            && reference["kind"] == "ClusterExternalSecret"
            && group.is_some_and(|group| group.starts_with("external-secrets.io/"))
    })?;
    controller["name"].as_str().map(str::to_owned)
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Somebody else's text is not a value of ours.
pub(super) fn carried(annotation: Option<&str>) -> Option<RefreshMark> {
    annotation?.parse().ok()
}
