//! What a poller remembers, in `ESO_RELAY_POLLS`: the version of each secret, its last pass, and which replica polls.

use std::num::NonZeroU64;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::subject::{MAJOR, hash};
use crate::Slug;

/// The version of one secret that a poller saw last. Subject `eso-relay.polls.v1.version.<poll>.<hash>`. Names only.
/// Unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Polled {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The path of the API at which the secret is read: `secret/data/app/db`.
    pub path: String,
    pub version: PolledVersion,
    /// Since when no configuration and no cluster asks for it. `None`: one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unwanted_since: Option<Timestamp>,
}

/// Two versions are compared for equality only: a store that is restored from a backup goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolledVersion {
    /// The number of the newest version. `None`: the secret has none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<NonZeroU64>,
    /// When the newest version was made, as the store writes it: it tells a secret that was removed and made again from
    /// the one before, although both count from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_time: Option<String>,
    pub state: PolledState,
}

/// Whether the newest version can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PolledState {
    Readable,
    /// Deleted, and may come back; `at`, as the store writes it.
    Deleted {
        at: String,
    },
    Destroyed,
    /// The store does not know the secret.
    Missing,
}

/// The last pass that looked at everything. Subject `eso-relay.polls.v1.pass.<poll>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pass {
    pub started_at: Timestamp,
    /// How many secrets it looked at.
    pub paths: u64,
}

/// The replica that polls. Subject `eso-relay.polls.v1.lease.<poll>`, written by compare-and-set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// `None`: it was given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}

impl Polled {
    /// Derives from namespace and path.
    pub fn subject(poll: &Slug, namespace: Option<&str>, path: &str) -> String {
        let hash = hash(&[namespace.unwrap_or_default(), path]);
        format!("eso-relay.polls.v{MAJOR}.version.{poll}.{hash}")
    }

    /// Of all secrets of a poll.
    pub fn subjects(poll: &Slug) -> String {
        format!("eso-relay.polls.v{MAJOR}.version.{poll}.*")
    }
}

impl Pass {
    pub fn subject(poll: &Slug) -> String {
        format!("eso-relay.polls.v{MAJOR}.pass.{poll}")
    }
}

impl Lease {
    pub fn subject(poll: &Slug) -> String {
        format!("eso-relay.polls.v{MAJOR}.lease.{poll}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespace_and_path_do_not_run_together() {
        let poll = "vault".parse().unwrap();
        let subject = |namespace, path| Polled::subject(&poll, namespace, path);
        let of_team = subject(Some("team"), "kv/data/a");
        assert_eq!(of_team, subject(Some("team"), "kv/data/a"));
        assert_ne!(of_team, subject(None, "team/kv/data/a"));
        assert_ne!(of_team, subject(Some("team/kv"), "data/a"));
    }
}
