//! ExternalSecrets of kubernetes-external-secrets (KES), `kubernetes-client.io/v1`.
//!
//! KES does not react to annotations. A reset of its status makes it poll (`crate::kubernetes::refresh`), and its
//! status says afterwards whether it has ([`SyncState::of_kes`]).

mod references;

use kube::{Resource as _, core::ObjectMeta};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use self::references::references;
use super::{
    object::{Directive, carried, dynamic_resource, place, take, watched_metadata},
    policy::{self, Excludable, Selection},
};
use crate::{
    matching::{
        index::{Change, ExternalSecret},
        tenancy::Claims,
    },
    object::{ObjectRef, REFRESH_ANNOTATION, Refreshable, SyncState, SyncVersion, Uid},
};

/// Its deserialization succeeds whatever the fields hold.
#[derive(Debug, Clone)]
pub(crate) struct KesObject {
    /// Name, namespace and resourceVersion.
    metadata: Box<ObjectMeta>,
    /// The refresh annotation.
    refresh: Option<String>,
    directive: Directive,
    deleting: bool,
    sync: SyncState,
    version: SyncVersion,
    uid: Option<Uid>,
    labels: Value,
    spec: Value,
}

dynamic_resource!(KesObject);

impl<'de> Deserialize<'de> for KesObject {
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
            mut metadata,
            spec,
            status,
        } = Raw::deserialize(deserializer)?;
        let annotations = &metadata["annotations"];
        Ok(Self {
            refresh: annotations[REFRESH_ANNOTATION].as_str().map(str::to_owned),
            directive: Directive::of(annotations),
            deleting: !metadata["deletionTimestamp"].is_null(),
            sync: SyncState::of_kes(metadata["generation"].as_i64().unwrap_or_default(), &status),
            version: SyncVersion::of_kes(&status),
            uid: metadata["uid"].as_str().and_then(|uid| uid.parse().ok()),
            metadata: watched_metadata(&metadata),
            labels: take(&mut metadata, "labels"),
            spec,
        })
    }
}

/// An object that exists. `None` if it has no name, which no API server serves.
pub(super) fn applied(object: &KesObject, selection: &Selection) -> Option<Change> {
    let target = target(object)?;
    let excluded = policy::left_out(
        Excludable {
            deleting: object.deleting,
            directive: object.directive,
            labels: &object.labels,
        },
        selection,
    );
    let (references, problems) = references(&object.spec, selection.find);
    Some(Change::Applied(ExternalSecret {
        value: carried(object.refresh.as_deref()),
        sync: object.sync,
        version: Some(object.version),
        uid: object.uid,
        refreshable: excluded.map_or(Refreshable::Yes, Refreshable::No),
        claims: selection
            .tenancy
            .as_ref()
            .map(|tenancy| Box::new(claims(&object.spec, tenancy.enforce))),
        problems,
        ..ExternalSecret::new(target, references)
    }))
}

/// An object that was deleted.
pub(super) fn deleted(object: &KesObject) -> Option<Change> {
    target(object).map(Change::Deleted)
}

/// What its namespace must permit (KES `lib/poller.js`, `_isPermitted`; `dataFromWithOptions` is not looked at there).
pub(crate) fn claims(spec: &Value, enforced: bool) -> Claims {
    let list = |field: &str| spec[field].as_array().into_iter().flatten();
    let entries = list("data").chain(list("properties"));
    let entries = entries.chain(list("dataFromWithOptions"));
    // A field that is not text fits nothing but what is empty.
    let fields = entries.flat_map(|entry| [entry.get("path"), entry.get("key")]);
    let named = fields.flatten().chain(list("dataFrom"));
    let role = ["roleArn", "vaultRole"].map(|field| spec[field].as_str());
    let mut role = role.into_iter().flatten().filter(|role| !role.is_empty());
    Claims {
        names: named
            .map(|name| name.as_str().unwrap_or_default().into())
            .collect(),
        role: role.next().map(Into::into),
        enforced,
    }
}

fn target(object: &KesObject) -> Option<ObjectRef> {
    let (namespace, name) = place(object.meta())?;
    Some(ObjectRef::kes(namespace, name))
}

#[cfg(test)]
mod tests;
