//! Converts a note into an Event of the API.

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};

use super::{Fact, Note};
use crate::{
    kubernetes::ApiVersion,
    object::{ObjectKind, Unrefreshable},
};

/// The reporting controller: the column `From` of `kubectl describe`.
const CONTROLLER: &str = "eso-relay";
/// The namespace of Events on objects without one (`apis/core/validation/events.go`).
const NO_NAMESPACE: &str = "default";

/// The API accepts no longer text (`apis/core/validation/events.go`, `NoteLengthLimit`).
#[cfg(test)]
pub(super) const MAX_TEXT: usize = 1024;

impl Note {
    /// The namespace of its Event.
    pub(super) fn namespace(&self) -> &str {
        if self.target.is_owner() {
            NO_NAMESPACE
        } else {
            self.target.namespace()
        }
    }

    /// The name of its Event. That an object is skipped is a fact about the object alone; the other facts are
    /// about an event, too.
    pub(super) fn name(&self) -> String {
        let (uid, fact) = (self.uid, self.fact.name().replace('_', "-"));
        match self.fact {
            Fact::NotRefreshable(_) => format!("eso-relay.{uid}.{fact}"),
            Fact::Refreshed { .. }
            | Fact::Failed { .. }
            | Fact::Silent { .. }
            | Fact::PassedOver { .. }
            | Fact::Restarted { .. }
            | Fact::RestartSkipped(_)
            | Fact::RolloutFailed { .. } => {
                format!("eso-relay.{uid}.{fact}.{}", self.event)
            }
        }
    }

    /// `instance`: the replica that reports it.
    pub(super) fn to_event(&self, version: ApiVersion, instance: &str) -> Event {
        let owner = self.target.is_owner();
        let resource = version.resource(self.target.kind().list());
        let regarding = ObjectReference {
            api_version: Some(resource.api_version),
            kind: Some(resource.kind),
            // kubectl asks for Events without a namespace here.
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
            action: Some(self.action().to_owned()),
            note: Some(self.text()),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(instance.to_owned()),
            ..Event::default()
        }
    }

    fn action(&self) -> &'static str {
        match self.target.kind() {
            ObjectKind::Workload(_) => "Restart",
            ObjectKind::ClusterExternalSecret
            | ObjectKind::ExternalSecret
            | ObjectKind::KesExternalSecret
            | ObjectKind::PushSecret => "Refresh",
        }
    }

    /// One word: the column `Reason`.
    pub(super) fn reason(&self) -> &'static str {
        match self.fact {
            Fact::Refreshed { .. } => "Refreshed",
            Fact::Failed { .. } => "RefreshFailed",
            Fact::Silent { .. } | Fact::PassedOver { .. } => "RefreshSilent",
            Fact::Restarted { .. } => "Restarted",
            Fact::RestartSkipped(_) => "RestartSkipped",
            Fact::RolloutFailed { .. } => "RolloutFailed",
            Fact::NotRefreshable(_) => "NotRefreshable",
        }
    }

    /// Whether the object may not be as its spec wants it. A secret that is read once, or in one version, may
    /// be intended.
    pub(super) fn is_warning(&self) -> bool {
        match self.fact {
            Fact::Refreshed { .. } | Fact::Restarted { .. } => false,
            Fact::Failed { .. }
            | Fact::Silent { .. }
            | Fact::PassedOver { .. }
            | Fact::RestartSkipped(_)
            | Fact::RolloutFailed { .. } => true,
            Fact::NotRefreshable(reason) => matches!(
                reason,
                Unrefreshable::StoreDeniesNamespace
                    | Unrefreshable::NotPermitted
                    | Unrefreshable::FindNotSupported
            ),
        }
    }

    /// What happened, what it means, and what to do about it.
    pub(super) fn text(&self) -> String {
        let event = self.event;
        let event = match &self.source {
            Some(source) => format!("event {event} of source {source}"),
            None => format!("event {event}"),
        };
        let of_kes = self.target.kind() == ObjectKind::KesExternalSecret;
        match self.fact {
            Fact::Refreshed { after } => {
                let operator = self.target.kind().operator();
                format!(
                    "Refreshed for {event}: {operator} has synced it {after:.1?} after the patch"
                )
            }
            Fact::Failed { after } if of_kes => format!(
                "KES has failed to sync it, {after:.1?} after the patch for {event}: see its status. The old \
                 value may still be in use; KES tries again at its interval, if it has one"
            ),
            Fact::Silent { after } if of_kes => format!(
                "KES has not updated the status for {after:.1?} since the patch for {event}: it is not \
                 running, is overloaded, or leaves this object to another instance (spec.controllerId). The \
                 old value may still be in use"
            ),
            Fact::NotRefreshable(Unrefreshable::NotPermitted) => format!(
                "Not refreshed for {event} ({}): its namespace does not permit what it reads. To have it \
                 refreshed, {}",
                Unrefreshable::NotPermitted,
                Unrefreshable::NotPermitted.advice()
            ),
            Fact::Failed { after } => format!(
                "ESO has failed to sync it, {after:.1?} after the patch for {event}: see the condition \
                 Ready. The old value may still be in use; ESO retries by itself"
            ),
            Fact::Silent { after } => format!(
                "ESO has not updated the status for {after:.1?} since the patch for {event}: it is not \
                 running, is overloaded, or skips this object (its store is not ready, or has another \
                 controller class). The old value may still be in use"
            ),
            Fact::PassedOver { after } => format!(
                "ESO has not updated the status for {after:.1?} since the patch for {event}: its owner has \
                 removed the annotation, or its policy keeps ESO from reading again. The old value may \
                 still be in use. To have it refreshed, grant eso-relay `patch` on `externalsecrets/status`"
            ),
            Fact::Restarted { after } => {
                format!("Restarted for {event}, {after:.1?} after ESO had synced what it reads")
            }
            Fact::RestartSkipped(why) => format!(
                "Not restarted for {event} ({}): its pods keep the old value until they are replaced",
                why.as_str()
            ),
            Fact::RolloutFailed { after } => format!(
                "Restarted for {event}, and not ready {after:.1?} later: the new value may be wrong. Other \
                 workloads that still waited for this event are not restarted"
            ),
            Fact::NotRefreshable(reason) => format!(
                "Not refreshed for {event} ({reason}): ESO would not read the secret again. To have it \
                 refreshed, {}",
                reason.advice()
            ),
        }
    }
}
