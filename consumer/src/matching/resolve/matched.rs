//! How an event matched: what is reported of it.

use eso_relay::{
    Event, Slug,
    event::{Fingerprint, Kind},
    traceparent::TraceParent,
    tracestate::TraceState,
};
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelValue;

use crate::engine::Urgency;

/// One matched event of a message.
#[derive(Debug, Clone)]
pub(crate) struct MatchedEvent {
    /// Its index in the message.
    pub index: usize,
    pub value: Fingerprint,
    pub source: Slug,
    pub trace_id: Option<String>,
    /// The span that published it.
    pub traceparent: Option<TraceParent>,
    pub tracestate: Option<TraceState>,
    pub event_type: Kind,
    /// A replay, a dead letter's return, or a refresh of everything: nothing waits for it at its source.
    pub is_again: bool,
    pub received_at: Timestamp,
    pub found: MatchResult,
    /// How many objects it matched: to refresh, and skipped.
    pub targets: usize,
    pub skipped: usize,
    pub lane: Lane,
    pub kind: EventKind,
}

/// By which lane an event's refreshes go; also a label of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the label's values")]
pub(crate) enum Lane {
    exact,
    mass,
}

impl Lane {
    pub(crate) const ALL: [Self; 2] = [Self::exact, Self::mass];

    pub(super) fn of(urgency: &Urgency) -> Self {
        match urgency {
            Urgency::Exact => Self::exact,
            Urgency::Mass(_) => Self::mass,
        }
    }
}

/// Whether an event comes from its source, or an operator has sent it again; also a label of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the label's values")]
pub(crate) enum EventKind {
    live,
    /// Of the history, or of the dead letters.
    replay,
}

impl EventKind {
    pub(crate) const ALL: [Self; 2] = [Self::live, Self::replay];

    pub(super) fn of(event: &Event) -> Self {
        if event.origin.replayed_at.is_some() || event.origin.redriven > 0 {
            Self::replay
        } else {
            Self::live
        }
    }
}

/// How an event matched this cluster's objects; also a label of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the label's values")]
pub(crate) enum MatchResult {
    matched,
    /// All objects that it matched are [`Unrefreshable`](crate::object::Unrefreshable).
    skipped,
    unmatched,
    /// The event is for other clusters.
    elsewhere,
    undecodable,
}

impl MatchResult {
    pub(crate) const ALL: [Self; 5] = [
        Self::matched,
        Self::skipped,
        Self::unmatched,
        Self::elsewhere,
        Self::undecodable,
    ];
}
