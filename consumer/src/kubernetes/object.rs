//! An object of the API, reduced to the fields that are read.

use kube::core::ObjectMeta;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::object::{
    FORCE_ANNOTATION, FORCE_SYNC_ANNOTATION, Hashed, IGNORE_ANNOTATION, REFRESH_ANNOTATION,
    RefreshMark, SyncState, SyncVersion, Uid, is_emptied,
};

/// An object of any watched kind. Its deserialization succeeds whatever the fields hold: one malformed object must
/// not fail its page or its watch.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// Name, namespace and resourceVersion; `managedFields`, most of an object, is skipped. Boxed, because an
    /// object is moved often and this is most of its size.
    metadata: Box<ObjectMeta>,
    /// The refresh annotation.
    pub(super) refresh: Option<String>,
    /// The force-sync annotation of an owner, which ESO copies to the objects that it owns.
    pub(super) force_sync: Option<String>,
    /// The ClusterExternalSecret that controls it.
    pub(super) owner: Option<String>,
    pub(super) directive: Directive,
    pub(super) deleting: bool,
    /// The sync state of the current metadata.
    pub(super) sync: SyncState,
    pub(super) version: SyncVersion,
    /// What ESO does at the next change of the metadata, whatever the policy.
    pub(super) pending: PendingWork,
    pub(super) uid: Option<Uid>,
    pub(super) labels: Value,
    pub(super) spec: Value,
    /// Whether the Secret exists, as far as the status shows.
    pub(super) written: bool,
    /// `status.refreshTime`.
    pub(super) refresh_time: Value,
    /// The Secret that ESO has written: `status.binding.name`.
    pub(super) bound: Option<Box<str>>,
    pub(super) reloader: Reloader,
}

/// Makes it an object of a kind that is known only when the API is asked.
macro_rules! dynamic_resource {
    ($object:ty) => {
        impl kube::Resource for $object {
            type DynamicType = kube::core::ApiResource;
            type Scope = kube::core::DynamicResourceScope;

            fn kind(kind: &kube::core::ApiResource) -> std::borrow::Cow<'_, str> {
                kind.kind.as_str().into()
            }

            fn group(kind: &kube::core::ApiResource) -> std::borrow::Cow<'_, str> {
                kind.group.as_str().into()
            }

            fn version(kind: &kube::core::ApiResource) -> std::borrow::Cow<'_, str> {
                kind.version.as_str().into()
            }

            fn api_version(kind: &kube::core::ApiResource) -> std::borrow::Cow<'_, str> {
                kind.api_version.as_str().into()
            }

            fn plural(kind: &kube::core::ApiResource) -> std::borrow::Cow<'_, str> {
                kind.plural.as_str().into()
            }

            fn meta(&self) -> &kube::core::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut kube::core::ObjectMeta {
                &mut self.metadata
            }
        }
    };
}
pub(super) use dynamic_resource;

dynamic_resource!(Object);

/// Name, namespace and resourceVersion of an object that is read whole: what the watch needs.
pub(super) fn watched_metadata(metadata: &Value) -> Box<ObjectMeta> {
    let text = |field: &str| metadata[field].as_str().map(str::to_owned);
    Box::new(ObjectMeta {
        name: text("name"),
        namespace: text("namespace"),
        resource_version: text("resourceVersion"),
        ..ObjectMeta::default()
    })
}

/// A field of the metadata, which has it no more.
pub(super) fn take(metadata: &mut Value, field: &str) -> Value {
    metadata.get_mut(field).map(Value::take).unwrap_or_default()
}

/// Namespace and name.
pub(super) fn place(meta: &ObjectMeta) -> Option<(&str, &str)> {
    meta.namespace.as_deref().zip(meta.name.as_deref())
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
            bound: bound(&status).map(Into::into),
            reloader: Reloader::of(&metadata.annotations, &spec),
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

/// The object's own setting for refreshes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Directive {
    #[default]
    None,
    /// Excluded: [`IGNORE_ANNOTATION`].
    Ignored,
    /// Refreshed whatever its policy: [`FORCE_ANNOTATION`].
    Forced,
}

impl Directive {
    pub(super) fn of(annotations: &Value) -> Self {
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

/// The annotations for Stakater's Reloader that ESO writes on the Secret: those of the template, or without one those of
/// the ExternalSecret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reloader {
    pub(super) ignored: bool,
    pub(super) matched: bool,
}

impl Reloader {
    fn of(own: &Value, spec: &Value) -> Self {
        let template = &spec["target"]["template"];
        let written = if template.is_object() {
            &template["metadata"]["annotations"]
        } else {
            own
        };
        Self {
            ignored: written["reloader.stakater.com/ignore"] == "true",
            matched: written["reloader.stakater.com/match"] == "true",
        }
    }
}

/// What ESO still has to do for an object, from its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PendingWork {
    /// The first sync: `syncedResourceVersion` is empty.
    pub(super) first_sync: bool,
    /// The first read of its values: `refreshTime` is zero.
    pub(super) first_read: bool,
    /// Its target is missing, as ESO reports (ESO `isSecretValid`).
    pub(super) target: bool,
}

impl PendingWork {
    fn of(status: &Value) -> Self {
        let text = |field: &str| status[field].as_str().unwrap_or_default();
        let time = text("refreshTime");
        Self {
            first_sync: text("syncedResourceVersion").is_empty(),
            first_read: time.is_empty() || time.starts_with("0001-"),
            target: is_emptied(status),
        }
    }
}

/// Whether the Secret was written. A page of objects is kept until the last is read, so their status is reduced
/// to this.
fn written(status: &Value) -> bool {
    bound(status).is_some() || !status["refreshTime"].is_null()
}

fn bound(status: &Value) -> Option<&str> {
    let name = status["binding"]["name"].as_str();
    name.filter(|name| !name.is_empty())
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

/// Parses a refresh mark; any other text is none.
pub(super) fn carried(annotation: Option<&str>) -> Option<RefreshMark> {
    annotation?.parse().ok()
}
