//! The event: what happened to one secret, or to a scope of secrets, at a store.
//!
//! Never in an event: a secret's value, the raw payload, credentials, e-mail addresses.

mod fingerprint;
mod keys;
mod reach;
mod settle;
mod template;
mod wire;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    fingerprint::{Fingerprint, InvalidFingerprint},
    keys::{InvalidKeys, Keys, MAX_KEY_BYTES, MAX_KEYS},
    reach::{Pattern, Reach, StoreKind, StorePattern},
    settle::{InvalidSettle, Settle},
    template::{InvalidTemplateSource, TemplateKind, TemplateSource},
    wire::{
        BATCH_CONTENT_TYPE, BatchError, EventError, MAX_SCOPE, decode_batch, encode, encode_batch,
        join_batch,
    },
};
use crate::{Slug, traceparent::TraceParent, tracestate::TraceState};

/// One event, as it is stored in the stream (a CloudEvents 1.0 event, see [`encode_batch`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Unique within its source. The sender's own id if that stays the same when it retries.
    pub id: String,
    /// The configured source that received it; `/sources/<source>` on the wire.
    pub source: Slug,
    pub kind: Kind,
    /// When the change happened, by the sender's clock.
    pub time: Option<Timestamp>,
    /// The W3C trace that the webhook belongs to (CloudEvents distributed tracing extension).
    pub traceparent: Option<TraceParent>,
    /// What the sender's tracing systems say of this trace. `None` where the trace is not the sender's.
    pub tracestate: Option<TraceState>,
    /// Which provider's keys these are; `generic` keys are compared whatever provider a store has.
    pub provider: Slug,
    pub operation: Operation,
    pub matches: Match,
    /// Which version of the secret changed, if the sender tells it.
    pub version: Option<Version>,
    /// Attributes of the place that changed (account, region, project, …). Compared only where both
    /// sides know the attribute: what one side does not know does not exclude.
    pub scope: BTreeMap<String, String>,
    /// What the event may reach. From the source's configuration, never from the payload: this is
    /// the tenancy boundary. `None` reaches everything.
    pub target: Option<Reach>,
    /// The delay from the first refresh to a second one. From the source's configuration, never from the
    /// payload. `None`: none.
    pub settle: Option<Settle>,
    /// Whether an operator asks for the restart of the workloads that read what it matches. Never from a payload.
    pub restart: bool,
    /// When the ingress (or the command line) received it.
    pub received_at: Timestamp,
    pub origin: Origin,
}

/// What kind of thing happened; the CloudEvents `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    #[serde(rename = "secret.changed")]
    SecretChanged,
    #[serde(rename = "secret.deleted")]
    SecretDeleted,
    #[serde(rename = "scope.changed")]
    ScopeChanged,
    /// Asked for by a person, a script, or a poller that cannot tell whether a secret has changed, rather than seen at a store.
    #[serde(rename = "refresh.requested")]
    RefreshRequested,
    /// A ConfigMap or a Secret of the cluster changed that templates may take. The provider of such an event is
    /// [`KUBERNETES`], and its keys are [`TemplateSource`]s: it matches templates and never the keys of a
    /// store. The attribute `namespace` of its scope is the object's namespace.
    #[serde(rename = "template.changed")]
    TemplateChanged,
}

impl Kind {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SecretChanged => "secret.changed",
            Self::SecretDeleted => "secret.deleted",
            Self::ScopeChanged => "scope.changed",
            Self::RefreshRequested => "refresh.requested",
            Self::TemplateChanged => "template.changed",
        }
    }
}

/// The operation at the store. Informative: every operation refreshes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    Created,
    Updated,
    Deleted,
    Restored,
    Metadata,
    #[default]
    #[serde(other)]
    Unknown,
}

/// Which references an event matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// One secret, by any of its aliases.
    Exact(Keys),
    /// Every secret below this path.
    Prefix(String),
    /// Everything in the event's scope.
    Scope,
    /// Everything that the event's target allows.
    All,
}

impl Match {
    /// The keys that the event names; empty for scope and all.
    pub fn keys(&self) -> &[String] {
        match self {
            Self::Exact(keys) => keys.as_slice(),
            Self::Prefix(path) => std::slice::from_ref(path),
            Self::Scope | Self::All => &[],
        }
    }
}

/// A version of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Version {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// The origin of the event: the sender's names for it, or the event that it replays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    #[serde(rename = "eventId", default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// When an operator replayed it; its other times are the original ones.
    #[serde(
        rename = "replayedAt",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub replayed_at: Option<Timestamp>,
    /// How often it has left the dead letters for another try.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redriven: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The provider whose keys match a reference through any store, by the key alone.
pub const GENERIC: &str = "generic";
/// The provider of events about sources of templates ([`Kind::TemplateChanged`]).
pub const KUBERNETES: &str = "kubernetes";

impl Event {
    /// A request to refresh everything that `target` allows.
    pub fn refresh_everything(source: Slug, id: String, target: Reach, now: Timestamp) -> Self {
        Self {
            id,
            source,
            kind: Kind::RefreshRequested,
            time: None,
            traceparent: None,
            tracestate: None,
            // OK because it is a slug.
            provider: GENERIC.parse().expect("a slug"),
            operation: Operation::Unknown,
            matches: Match::All,
            version: None,
            scope: BTreeMap::new(),
            target: Some(target),
            settle: None,
            restart: false,
            received_at: now,
            origin: Origin::default(),
        }
    }

    /// Whether it is a request as [`Self::refresh_everything`] makes, whatever its target.
    pub fn refreshes_everything(&self) -> bool {
        self.kind == Kind::RefreshRequested && self.matches == Match::All
    }

    /// When the refresh was requested.
    pub fn asked_at(&self) -> Timestamp {
        self.origin.replayed_at.unwrap_or(self.received_at)
    }

    /// Identifies the event in an annotation's value, across redeliveries.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.source, &self.id)
    }

    /// Whether the event may reach this cluster.
    pub fn reaches_cluster(&self, cluster: &Slug) -> bool {
        self.target
            .as_ref()
            .is_none_or(|target| target.allows_cluster(cluster.as_str()))
    }
}

#[cfg(test)]
mod tests;
