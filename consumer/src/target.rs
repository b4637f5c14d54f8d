//! What a refresh is done to.

use std::{fmt, sync::Arc};

/// An object by kind, namespace and name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target(Arc<Named>);

#[derive(PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Named {
    kind: TargetKind,
    namespace: Box<str>,
    name: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetKind {
    /// In no namespace; for all that it owns.
    ClusterExternalSecret,
    ExternalSecret,
    /// ESO writes it to its stores again.
    PushSecret,
}

impl Target {
    /// An ExternalSecret.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self::of(TargetKind::ExternalSecret, namespace, name)
    }

    /// A ClusterExternalSecret.
    pub fn owner(name: &str) -> Self {
        Self::of(TargetKind::ClusterExternalSecret, "", name)
    }

    pub fn push_secret(namespace: &str, name: &str) -> Self {
        Self::of(TargetKind::PushSecret, namespace, name)
    }

    fn of(kind: TargetKind, namespace: &str, name: &str) -> Self {
        Self(Arc::new(Named {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        }))
    }

    pub fn kind(&self) -> TargetKind {
        self.0.kind
    }

    pub fn is_owner(&self) -> bool {
        self.kind() == TargetKind::ClusterExternalSecret
    }

    /// Empty for a ClusterExternalSecret.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (namespace, name) = (self.namespace(), self.name());
        match self.kind() {
            TargetKind::ExternalSecret => write!(f, "{namespace}/{name}"),
            TargetKind::ClusterExternalSecret => write!(f, "ClusterExternalSecret/{name}"),
            TargetKind::PushSecret => write!(f, "PushSecret/{namespace}/{name}"),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
