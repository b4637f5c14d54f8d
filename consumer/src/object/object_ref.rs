//! The objects that are watched and refreshed.

use std::{fmt, sync::Arc};

/// An object by kind, namespace and name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef(Arc<Named>);

#[derive(PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Named {
    kind: ObjectKind,
    namespace: Box<str>,
    name: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    /// Has no namespace; refreshes every ExternalSecret that it owns.
    ClusterExternalSecret,
    ExternalSecret,
    /// Of kubernetes-external-secrets: another group with the same kind.
    KesExternalSecret,
    /// ESO pushes it to its stores again.
    PushSecret,
    /// Not refreshed, but restarted.
    Workload(WorkloadKind),
}

impl ObjectKind {
    /// Who syncs it.
    pub fn operator(self) -> &'static str {
        match self {
            Self::KesExternalSecret => "KES",
            Self::ClusterExternalSecret
            | Self::ExternalSecret
            | Self::PushSecret
            | Self::Workload(_) => "ESO",
        }
    }

    /// The list that holds it.
    pub fn list(self) -> ListKind {
        match self {
            Self::ClusterExternalSecret => ListKind::ClusterExternalSecrets,
            Self::ExternalSecret => ListKind::ExternalSecrets,
            Self::KesExternalSecret => ListKind::KesExternalSecrets,
            Self::PushSecret => ListKind::PushSecrets,
            Self::Workload(kind) => ListKind::Workloads(kind),
        }
    }
}

/// The kinds of workload that can be restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkloadKind {
    DaemonSet,
    Deployment,
    /// Of Argo Rollouts.
    Rollout,
    StatefulSet,
}

impl WorkloadKind {
    pub const ALL: [Self; 4] = [
        Self::DaemonSet,
        Self::Deployment,
        Self::Rollout,
        Self::StatefulSet,
    ];

    /// As `kind` in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DaemonSet => "DaemonSet",
            Self::Deployment => "Deployment",
            Self::Rollout => "Rollout",
            Self::StatefulSet => "StatefulSet",
        }
    }
}

impl ObjectRef {
    /// An ExternalSecret.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self::of(ObjectKind::ExternalSecret, namespace, name)
    }

    /// A ClusterExternalSecret.
    pub fn owner(name: &str) -> Self {
        Self::of(ObjectKind::ClusterExternalSecret, "", name)
    }

    /// An ExternalSecret of kubernetes-external-secrets.
    pub fn kes(namespace: &str, name: &str) -> Self {
        Self::of(ObjectKind::KesExternalSecret, namespace, name)
    }

    pub fn push_secret(namespace: &str, name: &str) -> Self {
        Self::of(ObjectKind::PushSecret, namespace, name)
    }

    pub fn workload(kind: WorkloadKind, namespace: &str, name: &str) -> Self {
        Self::of(ObjectKind::Workload(kind), namespace, name)
    }

    fn of(kind: ObjectKind, namespace: &str, name: &str) -> Self {
        Self(Arc::new(Named {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        }))
    }

    pub fn kind(&self) -> ObjectKind {
        self.0.kind
    }

    pub fn is_owner(&self) -> bool {
        self.kind() == ObjectKind::ClusterExternalSecret
    }

    /// Empty for a ClusterExternalSecret.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (namespace, name) = (self.namespace(), self.name());
        match self.kind() {
            ObjectKind::ExternalSecret => write!(f, "{namespace}/{name}"),
            ObjectKind::ClusterExternalSecret => write!(f, "ClusterExternalSecret/{name}"),
            ObjectKind::KesExternalSecret => write!(f, "KES/{namespace}/{name}"),
            ObjectKind::PushSecret => write!(f, "PushSecret/{namespace}/{name}"),
            ObjectKind::Workload(kind) => write!(f, "{}/{namespace}/{name}", kind.as_str()),
        }
    }
}

impl fmt::Debug for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The kinds of object that are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListKind {
    ExternalSecrets,
    ClusterExternalSecrets,
    /// Of kubernetes-external-secrets.
    KesExternalSecrets,
    SecretStores,
    ClusterSecretStores,
    /// Only their labels are read.
    Namespaces,
    PushSecrets,
    Workloads(WorkloadKind),
}
