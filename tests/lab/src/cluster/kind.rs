//! The kinds of object that fixtures make and the stand-in API serves.

use kube::core::{ApiResource, GroupVersionKind};
use serde::{Deserialize, Serialize};

/// ESO's API group.
pub const GROUP: &str = "external-secrets.io";
/// That of Argo Rollouts.
pub const ARGO: &str = "argoproj.io";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    Namespace,
    Secret,
    ExternalSecret,
    SecretStore,
    ClusterSecretStore,
    ClusterExternalSecret,
    PushSecret,
    Event,
    Deployment,
    StatefulSet,
    DaemonSet,
    /// Of Argo.
    Rollout,
}

impl Kind {
    pub const ALL: [Self; 12] = [
        Self::Namespace,
        Self::Secret,
        Self::ExternalSecret,
        Self::SecretStore,
        Self::ClusterSecretStore,
        Self::ClusterExternalSecret,
        Self::PushSecret,
        Self::Event,
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::Rollout,
    ];

    /// As the API writes it: `ExternalSecret`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Secret => "Secret",
            Self::ExternalSecret => "ExternalSecret",
            Self::SecretStore => "SecretStore",
            Self::ClusterSecretStore => "ClusterSecretStore",
            Self::ClusterExternalSecret => "ClusterExternalSecret",
            Self::PushSecret => "PushSecret",
            Self::Event => "Event",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Rollout => "Rollout",
        }
    }

    /// As it stands in a URL: `externalsecrets`.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Namespace => "namespaces",
            Self::Secret => "secrets",
            Self::ExternalSecret => "externalsecrets",
            Self::SecretStore => "secretstores",
            Self::ClusterSecretStore => "clustersecretstores",
            Self::ClusterExternalSecret => "clusterexternalsecrets",
            Self::PushSecret => "pushsecrets",
            Self::Event => "events",
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
            Self::Rollout => "rollouts",
        }
    }

    /// Empty for the core group.
    pub fn group(self) -> &'static str {
        match self {
            Self::Namespace | Self::Secret => "",
            Self::Event => "events.k8s.io",
            Self::Deployment | Self::StatefulSet | Self::DaemonSet => "apps",
            Self::Rollout => ARGO,
            Self::ExternalSecret
            | Self::SecretStore
            | Self::ClusterSecretStore
            | Self::ClusterExternalSecret
            | Self::PushSecret => GROUP,
        }
    }

    pub fn is_namespaced(self) -> bool {
        !matches!(
            self,
            Self::Namespace | Self::ClusterSecretStore | Self::ClusterExternalSecret
        )
    }

    /// Whether it is one of ESO's.
    pub fn is_custom(self) -> bool {
        self.group() == GROUP
    }

    /// Whether it runs pods by a template.
    pub fn is_workload(self) -> bool {
        matches!(self.group(), "apps" | ARGO)
    }

    /// Whether it has a generation and a `/status` of its own.
    pub fn has_status(self) -> bool {
        self.is_custom() || self.is_workload()
    }

    /// The newest that ESO, or Kubernetes, serves.
    pub fn version(self) -> &'static str {
        match self {
            Self::PushSecret | Self::Rollout => "v1alpha1",
            _ => "v1",
        }
    }

    /// How kube reaches this kind, in that version.
    pub fn api_resource(self) -> ApiResource {
        let gvk = GroupVersionKind::gvk(self.group(), self.version(), self.name());
        ApiResource::from_gvk_with_plural(&gvk, self.plural())
    }
}
