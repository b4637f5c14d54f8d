//! A note as an object of the API.

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};

use super::{Note, What};
use crate::{
    kubernetes::ApiVersion,
    object::{ListKind, ObjectKind},
};

/// Who says it; below `From`.
const CONTROLLER: &str = "eso-relay";
/// Where Events on objects without a namespace are (`apis/core/validation/events.go`).
const NO_NAMESPACE: &str = "default";

impl Note {
    /// The namespace of its Event.
    pub(super) fn namespace(&self) -> &str {
        if self.target.is_owner() {
            NO_NAMESPACE
        } else {
            self.target.namespace()
        }
    }

    /// That of its Event. Being skipped is a fact about the object; the others are facts about an
    /// event, too.
    pub(super) fn name(&self) -> String {
        let (uid, what) = (self.uid, self.what.name().replace('_', "-"));
        match self.what {
            What::NotRefreshable(_) => format!("eso-relay.{uid}.{what}"),
            What::Refreshed { .. }
            | What::Failed { .. }
            | What::Silent { .. }
            | What::PassedOver { .. } => {
                format!("eso-relay.{uid}.{what}.{}", self.event)
            }
        }
    }

    /// `instance`: which replica says it.
    pub(super) fn to_event(&self, version: ApiVersion, instance: &str) -> Event {
        let owner = self.target.is_owner();
        let resource = version.resource(match self.target.kind() {
            ObjectKind::ClusterExternalSecret => ListKind::ClusterExternalSecrets,
            ObjectKind::ExternalSecret => ListKind::ExternalSecrets,
            ObjectKind::PushSecret => ListKind::PushSecrets,
        });
        let regarding = ObjectReference {
            api_version: Some(resource.api_version),
            kind: Some(resource.kind),
            // kubectl asks for Events that name none here.
            namespace: (!owner).then(|| self.target.namespace().to_owned()),
            name: Some(self.target.name().to_owned()),
            uid: Some(self.uid.to_string()),
            ..ObjectReference::default()
        };
        let type_ = if self.is_warning() {
            "Warning"
        } else {
            "Normal"
        };
        Event {
            metadata: ObjectMeta {
                name: Some(self.name()),
                namespace: Some(self.namespace().to_owned()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(self.at)),
            regarding: Some(regarding),
            type_: Some(type_.to_owned()),
            reason: Some(self.reason().to_owned()),
            action: Some("Refresh".to_owned()),
            note: Some(self.text()),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(instance.to_owned()),
            ..Event::default()
        }
    }
}
