//! What a refresh is done to.

use std::{fmt, sync::Arc};

/// An ExternalSecret by namespace and name, or a ClusterExternalSecret, which is in none, for all that it
/// owns. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target(Arc<(Box<str>, Box<str>)>);

impl Target {
    pub fn new(namespace: &str, name: &str) -> Self {
        Self(Arc::new((namespace.into(), name.into())))
    }

    /// A ClusterExternalSecret.
    pub fn owner(name: &str) -> Self {
        Self::new("", name)
    }

    pub fn is_owner(&self) -> bool {
        self.namespace().is_empty()
    }

    /// Empty for a ClusterExternalSecret.
    pub fn namespace(&self) -> &str {
        &self.0.0
    }

    pub fn name(&self) -> &str {
        &self.0.1
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.is_owner() {
            "ClusterExternalSecret"
        } else {
            self.namespace()
        };
        write!(f, "{place}/{}", self.name())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
