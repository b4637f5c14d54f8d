//! The labels: closed sets.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};

use crate::{
    engine::Step,
    matching::MatchResult,
    object::{Fault, Outcome},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct DeliveryLabels {
    pub outcome: DeliveryOutcome,
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the label's values")]
pub(crate) enum DeliveryOutcome {
    acked,
    nacked,
    /// Put back until the objects that fail are done, and acked then; or delivered again before.
    parked,
    dead_lettered,
    /// Given back at shutdown, not started.
    handed_back,
}

impl DeliveryOutcome {
    pub(super) const ALL: [Self; 5] = [
        Self::acked,
        Self::nacked,
        Self::parked,
        Self::dead_lettered,
        Self::handed_back,
    ];
}

/// Not `cluster`, which external labels of Prometheus are often called.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct InfoLabels {
    pub(super) relay_cluster: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct EventLabels {
    pub result: MatchResult,
}

/// [`Unrefreshable`](crate::object::Unrefreshable) as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct SkippedLabels {
    pub reason: &'static str,
}

/// [`Reason`](eso_relay::stream::Reason) as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct DeadLetterLabels {
    pub reason: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct PatchLabels {
    pub result: PatchResult,
}

/// How a patch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the label's values")]
pub(crate) enum PatchResult {
    done,
    /// The API was away, overloaded or slow.
    cluster_fault,
    /// This object, or the permission to patch it.
    target_fault,
    refused,
}

impl PatchResult {
    pub(super) const ALL: [Self; 4] = [
        Self::done,
        Self::cluster_fault,
        Self::target_fault,
        Self::refused,
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ResetLabels {
    pub(super) result: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct SyncLabels {
    pub result: SyncResult,
}

/// What ESO did after a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the label's values")]
pub(crate) enum SyncResult {
    synced,
    failed,
    silent,
}

impl SyncResult {
    pub(super) const ALL: [Self; 3] = [Self::synced, Self::failed, Self::silent];

    pub(crate) fn of(step: Step) -> Option<Self> {
        match step {
            Step::Synced => Some(Self::synced),
            Step::Failed => Some(Self::failed),
            Step::Silent => Some(Self::silent),
            Step::Patched
            | Step::Carried
            | Step::Gone
            | Step::Refused
            | Step::GaveUp
            | Step::Superseded
            | Step::Restarted
            | Step::NotRestarted(_) => None,
        }
    }
}

/// The result of a note for an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the label's values")]
pub(crate) enum EventResult {
    written,
    /// Written by another replica, or before a restart.
    already_there,
    /// Dropped: the same fact about the object was written recently.
    repeated,
    /// Dropped: too many at once.
    limited,
    /// Refused with 403, mostly for a missing permission; or dropped for a while after that.
    denied,
    /// The API was unavailable or slow, or refused it with another status.
    failed,
}

impl EventResult {
    pub(crate) const ALL: [Self; 6] = [
        Self::written,
        Self::already_there,
        Self::repeated,
        Self::limited,
        Self::denied,
        Self::failed,
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct KubeEventLabels {
    pub result: EventResult,
}

impl From<&Outcome> for PatchResult {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Done | Outcome::Gone => Self::done,
            Outcome::Retry { fault, .. } => match fault {
                Fault::Cluster => Self::cluster_fault,
                Fault::Object | Fault::Permission => Self::target_fault,
            },
            Outcome::Refused { .. } => Self::refused,
        }
    }
}
