//! What the objects of a cluster read from Vault and OpenBao, in `ESO_RELAY_POLLS`: consumers write it, and pollers
//! watch its paths, so that no list of them is kept by hand.
//!
//! Subject `eso-relay.polls.v1.watched.<cluster>.<hash>`, one message for each path, removed when the last reader
//! is gone.

use serde::{Deserialize, Serialize};

use super::subject::{MAJOR, hash};
use crate::Slug;

/// A secret of version 2 of the KV engine that objects of a cluster read. Names only. Unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Watched {
    /// `vault` or `openbao`: the provider of ESO through which it is read. `vault` reads from an `OpenBao` too, so it
    /// excludes neither server.
    pub provider: Slug,
    /// The host of the server, in lower case and without a port, as matching compares it. None: not known, so that
    /// every poller may have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Without slashes at its ends. None: the root, or not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The path of the API without `v1/`: `secret/data/app/db`.
    pub path: String,
}

impl Watched {
    /// Of all clusters.
    pub fn subjects() -> String {
        format!("eso-relay.polls.v{MAJOR}.watched.>")
    }

    /// Of all that a cluster reads.
    pub fn subjects_of(cluster: &Slug) -> String {
        format!("eso-relay.polls.v{MAJOR}.watched.{cluster}.*")
    }

    /// Derives from its fields: the same secret has one subject in a cluster.
    pub fn subject(&self, cluster: &Slug) -> String {
        let place = [self.host.as_deref(), self.namespace.as_deref()];
        let [host, namespace] = place.map(Option::unwrap_or_default);
        let hash = hash(&[self.provider.as_str(), host, namespace, &self.path]);
        format!("eso-relay.polls.v{MAJOR}.watched.{cluster}.{hash}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> Watched {
        Watched {
            provider: "vault".parse().unwrap(),
            host: Some("vault.example.com".to_owned()),
            namespace: None,
            path: "secret/data/app/db".to_owned(),
        }
    }

    #[test]
    fn each_secret_has_a_subject_of_its_own() {
        let east = "east".parse().unwrap();
        let mut seen = std::collections::HashSet::from([database().subject(&east)]);
        let others = [
            Watched {
                host: None,
                ..database()
            },
            Watched {
                namespace: Some("team".to_owned()),
                ..database()
            },
            Watched {
                path: "secret/data/app".to_owned(),
                ..database()
            },
        ];
        for other in others {
            assert!(seen.insert(other.subject(&east)), "{other:?}");
        }
        assert!(!seen.insert(database().subject(&east)));
    }
}
