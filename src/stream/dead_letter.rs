//! An event that a cluster gave up on, in `ESO_RELAY_DEAD`.
//!
//! Subject `eso-relay.dead.v1.<cluster>.<source>`; the body is the event (or, if that could not be
//! read, the message) as it stood in the events stream; what happened is in the headers.

use async_nats::HeaderMap;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::subject::MAJOR;
use crate::Slug;

/// Why an event was given up. A closed set: it is also a label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The message or the event cannot be read by this version.
    Undecodable,
    /// The Kubernetes API refused the patch for good (400, 422, admission).
    Refused,
    /// Handling it panicked, or it was delivered too often without an ack.
    TooManyAttempts,
    /// It could not be applied for as long as `give_up_after`.
    GaveUp,
    /// ESO has not synced for as long as `restart.give_up_after`, so a workload was not restarted.
    NotSynced,
}

impl Reason {
    pub const ALL: [Self; 5] = [
        Self::Undecodable,
        Self::Refused,
        Self::TooManyAttempts,
        Self::GaveUp,
        Self::NotSynced,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Refused => "refused",
            Self::TooManyAttempts => "too_many_attempts",
            Self::GaveUp => "gave_up",
            Self::NotSynced => "not_synced",
        }
    }
}

/// One dead letter, ready to be published.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    pub reason: Reason,
    /// For people; no secret value and no payload.
    pub error: String,
    pub cluster: Slug,
    /// `unknown` if the message's subject does not say.
    pub source: Slug,
    pub attempts: u64,
    /// Its sequence in the events stream; 0 for the message of a gap.
    pub stream_sequence: u64,
    /// When its gap was found.
    pub gap: Option<Timestamp>,
    /// Which event of the message; `None` when the message could not be read at all.
    pub index: Option<usize>,
    pub subject: String,
    pub body: Bytes,
}

impl DeadLetter {
    pub fn subject(&self) -> String {
        format!("eso-relay.dead.v{MAJOR}.{}.{}", self.cluster, self.source)
    }

    /// The same for every attempt to publish it, so that it is stored once.
    pub fn message_id(&self) -> String {
        let index = self
            .index
            .map_or_else(|| "message".to_owned(), |index| index.to_string());
        match self.gap {
            Some(found_at) => format!("{}.gap.{found_at}.{index}", self.cluster),
            None => format!("{}.{}.{index}", self.cluster, self.stream_sequence),
        }
    }

    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("Eso-Relay-Reason", self.reason.as_str());
        // A header is one line.
        headers.insert(
            "Eso-Relay-Error",
            self.error.replace(['\r', '\n'], " ").as_str(),
        );
        headers.insert("Eso-Relay-Cluster", self.cluster.as_str());
        headers.insert("Eso-Relay-Attempts", self.attempts.to_string().as_str());
        headers.insert(
            "Eso-Relay-Sequence",
            self.stream_sequence.to_string().as_str(),
        );
        headers.insert("Eso-Relay-Subject", self.subject.as_str());
        headers
    }
}
