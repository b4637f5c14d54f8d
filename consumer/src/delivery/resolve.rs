//! Events → what they mean in this cluster.

use eso_relay::{
    Event, Slug,
    event::{Fingerprint, Settle},
};
use jiff::Timestamp;

use super::{Received, decode};
use crate::{
    engine::{Delivery, Refresh},
    index::Index,
    metrics::Found,
    settle::{self, StoreSettle},
};

/// A message, ready for the engine, and what the log and the metrics say about its events.
#[derive(Debug)]
pub struct Resolved {
    pub delivery: Delivery,
    pub events: Vec<Seen>,
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
    /// How many targets it matches.
    pub targets: usize,
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
    let mut refreshes = Vec::new();
    for (index, event) in &decoded.events {
        let reaches = event.reaches_cluster(cluster);
        let targets = if reaches {
            objects.matching(event)
        } else {
            Vec::new()
        };
        let fingerprint = event.fingerprint();
        events.push(Seen::new(*index, event, reaches, targets.len()));
        refreshes.extend(targets.into_iter().map(|target| {
            let settle = settle::longest(settles, objects.stores_of(&target)).max(event.settle);
            Refresh {
                carries: objects.carried(&target),
                target,
                event: fingerprint,
                index: *index,
                settle: settle.map(Settle::get),
            }
        }));
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
    }
}

impl Seen {
    fn new(index: usize, event: &Event, reaches: bool, targets: usize) -> Self {
        Self {
            index,
            value: event.fingerprint(),
            source: event.source.clone(),
            trace_id: event.traceparent.map(|trace| trace.trace_id()),
            received_at: event.received_at,
            found: match targets {
                _ if !reaches => Found::elsewhere,
                0 => Found::unmatched,
                _ => Found::matched,
            },
            targets,
        }
    }
}
