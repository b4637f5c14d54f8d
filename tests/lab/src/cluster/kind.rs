//! The kinds of object that fixtures make and the stand-in API serves.

use kube::core::{ApiResource, GroupVersionKind};

/// ESO's API group.
pub const GROUP: &str = "external-secrets.io";
/// That of Argo Rollouts.
pub const ARGO: &str = "argoproj.io";
/// That of kubernetes-external-secrets.
pub const KES: &str = "kubernetes-client.io";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Namespace,
    Secret,
    ExternalSecret,
    SecretStore,
    ClusterSecretStore,
    ClusterExternalSecret,
    PushSecret,
    /// Of kubernetes-external-secrets.
    KesExternalSecret,
    Event,
    Deployment,
    StatefulSet,
    DaemonSet,
    /// Of Argo.
    Rollout,
}

impl Kind {
    pub const ALL: [Self; 13] = [
        Self::Namespace,
        Self::Secret,
        Self::ExternalSecret,
        Self::SecretStore,
        Self::ClusterSecretStore,
        Self::ClusterExternalSecret,
        Self::PushSecret,
        Self::KesExternalSecret,
        Self::Event,
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::Rollout,
    ];

    /// As the API writes it, as it stands in a URL, and its group.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Namespace => ("Namespace", "namespaces", ""),
            Self::Secret => ("Secret", "secrets", ""),
            Self::ExternalSecret => ("ExternalSecret", "externalsecrets", GROUP),
            Self::SecretStore => ("SecretStore", "secretstores", GROUP),
            Self::ClusterSecretStore => ("ClusterSecretStore", "clustersecretstores", GROUP),
            Self::ClusterExternalSecret => {
                ("ClusterExternalSecret", "clusterexternalsecrets", GROUP)
            }
            Self::PushSecret => ("PushSecret", "pushsecrets", GROUP),
            Self::KesExternalSecret => ("ExternalSecret", "externalsecrets", KES),
            Self::Event => ("Event", "events", "events.k8s.io"),
            Self::Deployment => ("Deployment", "deployments", "apps"),
            Self::StatefulSet => ("StatefulSet", "statefulsets", "apps"),
            Self::DaemonSet => ("DaemonSet", "daemonsets", "apps"),
            Self::Rollout => ("Rollout", "rollouts", ARGO),
        }
    }

    /// As the API writes it: `ExternalSecret`.
    pub fn name(self) -> &'static str {
        self.names().0
    }

    /// As it stands in a URL: `externalsecrets`.
    pub fn plural(self) -> &'static str {
        self.names().1
    }

    /// Empty for the core group.
    pub fn group(self) -> &'static str {
        self.names().2
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
        self.is_custom() || self.is_workload() || self == Self::KesExternalSecret
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
