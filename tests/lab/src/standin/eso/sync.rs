//! One sync: read the values, write the Secret, say so in the status.

use std::time::Duration;

use eso_relay::command::clock;
use jiff::Timestamp;
use kube::{
    Client, ResourceExt,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{SecretValues, Synced, synced_resource_version};
use crate::cluster::{Kind, objects, write_secret};

/// Before a sync that the API refused is tried again.
const PAUSE: Duration = Duration::from_millis(100);
/// Before an object that changed during its sync is read again; ESO asks for that at once.
const CONFLICT: Duration = Duration::from_millis(5);

#[derive(Clone)]
pub(super) struct Syncer {
    pub(super) client: Client,
    pub(super) values: SecretValues,
    pub(super) synced: Synced,
    pub(super) delay: Duration,
    pub(super) secrets: bool,
}

pub(super) enum Outcome {
    /// The object as it was read at `version` is synced, with this status.
    Written { version: String, status: Value },
    /// A value is missing; the object says so and waits for its next change.
    Failed,
    /// The API did not take it.
    Again,
}

impl Syncer {
    pub(super) async fn sync(&self, object: &DynamicObject) -> Outcome {
        tokio::time::sleep(self.delay).await;
        match self.try_sync(object, clock()).await {
            Ok(outcome) => outcome,
            Err(kube::Error::Api(status)) if status.code == 404 => Outcome::Failed,
            Err(kube::Error::Api(status)) if status.code == 409 => {
                tokio::time::sleep(CONFLICT).await;
                Outcome::Again
            }
            Err(error) => {
                tracing::debug!(%error, "the stand-in ESO tries again");
                tokio::time::sleep(PAUSE).await;
                Outcome::Again
            }
        }
    }

    async fn try_sync(&self, object: &DynamicObject, now: Timestamp) -> kube::Result<Outcome> {
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        let name = object.metadata.name.clone().unwrap_or_default();
        let target = object.data["spec"]["target"]["name"]
            .as_str()
            .unwrap_or(&name);
        let values = match self.values.resolve(&object.data["spec"]) {
            Ok(values) => values,
            Err(_) if object.data["spec"]["target"]["deletionPolicy"] == "Delete" => {
                self.delete_secret(&namespace, target).await?;
                let message = "secret deleted due to DeletionPolicy";
                let deleted = ready(true, "SecretDeleted", message, now);
                return self.synced(object, deleted, now).await;
            }
            Err(message) => {
                let status =
                    json!({ "conditions": [ready(false, "SecretSyncedError", &message, now)] });
                self.write_status(object, &status).await?;
                return Ok(Outcome::Failed);
            }
        };
        if self.secrets {
            write_secret(&self.client, &namespace, target, &values).await?;
        }
        // Before the status, so that a reader of the status finds the values.
        self.synced.record(namespace, name, values);
        let synced = ready(true, "SecretSynced", "secret synced", now);
        self.synced(object, synced, now).await
    }

    async fn synced(
        &self,
        object: &DynamicObject,
        ready: Value,
        now: Timestamp,
    ) -> kube::Result<Outcome> {
        let status = json!({
            "refreshTime": format!("{now:.0}"),
            "syncedResourceVersion": synced_resource_version(&object.metadata),
            "conditions": [ready],
        });
        self.write_status(object, &status).await?;
        let version = object.metadata.resource_version.clone();
        let version = version.unwrap_or_default();
        Ok(Outcome::Written { version, status })
    }

    /// With the version that was read, as ESO's `Status().Update`: an object that has changed since is
    /// a conflict.
    async fn write_status(&self, object: &DynamicObject, status: &Value) -> kube::Result<()> {
        let metadata = &object.metadata;
        let patch = json!({
            "metadata": { "resourceVersion": metadata.resource_version },
            "status": status,
        });
        let (namespace, params) = (metadata.namespace.as_deref(), PatchParams::default());
        objects(&self.client, Kind::ExternalSecret, namespace)
            .patch_status(&object.name_any(), &params, &Patch::Merge(patch))
            .await
            .map(drop)
    }

    async fn delete_secret(&self, namespace: &str, name: &str) -> kube::Result<()> {
        let secrets = objects(&self.client, Kind::Secret, Some(namespace));
        match secrets.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => other.map(drop),
        }
    }
}

fn ready(ready: bool, reason: &str, message: &str, now: Timestamp) -> Value {
    json!({
        "type": "Ready",
        "status": if ready { "True" } else { "False" },
        "reason": reason,
        "message": message,
        "lastTransitionTime": format!("{now:.0}"),
    })
}
