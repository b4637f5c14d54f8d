//! Events → what they mean in this cluster.

use eso_relay::{
    Event, Slug,
    event::{Fingerprint, Settle},
};
use jiff::Timestamp;

use super::{Received, decode};
use crate::{
    engine::{Delivery, Refresh},
    index::{Index, Matched, Skipped},
    metrics::Found,
    settle::{self, StoreSettle},
};

/// A message, ready for the engine, and what the log and the metrics say about its events.
#[derive(Debug)]
pub struct Resolved {
    pub delivery: Delivery,
    pub events: Vec<Seen>,
    /// What the events mean and a refresh would not reach.
    pub skipped: Vec<Skipped>,
}

/// One event of a message.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its place in the message.
    pub index: usize,
    pub value: Fingerprint,
    pub source: Slug,
    pub trace_id: Option<String>,
    pub received_at: Timestamp,
    pub found: Found,
    /// How many objects it matches that can be refreshed, and that cannot.
    pub targets: usize,
    pub skipped: usize,
}

/// Decodes and matches one message.
pub fn resolve(
    message: &Received,
    objects: &Index,
    cluster: &Slug,
    settles: &[StoreSettle],
) -> Resolved {
    let decoded = decode(message);
    let mut events = Vec::with_capacity(decoded.events.len());
    let (mut refreshes, mut left) = (Vec::new(), Vec::new());
    for (index, event) in &decoded.events {
        let reaches = event.reaches_cluster(cluster);
        let matched = if reaches {
            objects.matching(event)
        } else {
            Matched::default()
        };
        let seen = Seen::new(*index, event, reaches, &matched);
        refreshes.extend(matched.targets.into_iter().map(|target| {
            let settle = settle::longest(settles, objects.stores_of(&target)).max(event.settle);
            let (carries, sync) = objects.carried(&target);
            Refresh {
                carries,
                sync,
                target,
                event: seen.value,
                index: *index,
                settle: settle.map(Settle::get),
            }
        }));
        left.extend(matched.skipped);
        events.push(seen);
    }
    Resolved {
        delivery: Delivery {
            sequence: message.sequence,
            attempt: message.attempt,
            pending: message.pending,
            refreshes,
            rejected: decoded.rejected,
        },
        events,
        skipped: left,
    }
}

impl Seen {
    fn new(index: usize, event: &Event, reaches: bool, matched: &Matched) -> Self {
        let (targets, skipped) = (matched.targets.len(), matched.skipped.len());
        Self {
            index,
            value: event.fingerprint(),
            source: event.source.clone(),
            trace_id: event.traceparent.map(|trace| trace.trace_id()),
            received_at: event.received_at,
            found: match (targets, skipped) {
                _ if !reaches => Found::elsewhere,
                (0, 0) => Found::unmatched,
                (0, _) => Found::skipped,
                _ => Found::matched,
            },
            targets,
            skipped,
        }
    }
}
