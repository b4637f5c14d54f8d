//! What an event may reach: the tenancy boundary, written in the source's configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An empty list of stores, namespaces or clusters does not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reach {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<StorePattern>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<Pattern>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<Pattern>,
}

/// A store by kind and name. Without a kind, both kinds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorePattern {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<StoreKind>,
    pub name: Pattern,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum StoreKind {
    SecretStore,
    ClusterSecretStore,
}

/// A name in which `*` stands for any run of characters; all else is literal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Pattern(String);

impl Reach {
    pub fn allows_store(&self, kind: StoreKind, name: &str) -> bool {
        self.stores.is_empty()
            || self.stores.iter().any(|store| {
                store.kind.is_none_or(|wanted| wanted == kind) && store.name.matches(name)
            })
    }

    pub fn allows_namespace(&self, namespace: &str) -> bool {
        allows(&self.namespaces, namespace)
    }

    pub fn allows_cluster(&self, cluster: &str) -> bool {
        allows(&self.clusters, cluster)
    }
}

fn allows(patterns: &[Pattern], name: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(name))
}

impl Pattern {
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    pub fn matches(&self, name: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else {
            return self.0 == name;
        };
        let Some(mut name) = name.strip_prefix(head) else {
            return false;
        };
        // Each part between two stars is found as early as it can be; the last part ends the name.
        let mut parts: Vec<&str> = rest.split('*').collect();
        let tail = parts.pop().unwrap_or_default();
        for part in parts {
            match name.find(part) {
                Some(at) => name = &name[at + part.len()..],
                None => return false,
            }
        }
        name.ends_with(tail)
    }
}
