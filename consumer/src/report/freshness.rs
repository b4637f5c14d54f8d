//! Reports how long events take until their objects are synced, and which objects are not.

use std::time::Duration;

use eso_relay::event::Fingerprint;
use jiff::Timestamp;

use super::{Reporter, metrics::SyncResult, reporter::now};
use crate::{
    engine::Pending,
    matching::{Lane, MatchedEvent},
    object::{ObjectRef, SyncState},
};

impl Reporter {
    /// The watch has shown an object.
    pub(crate) fn observed(&mut self, target: &ObjectRef, sync: SyncState) {
        if self.unsynced.observed(target, sync) {
            self.show_unsynced();
        }
    }

    pub(super) fn show_unsynced(&self) {
        for (why, objects) in self.unsynced.counts() {
            self.metrics.freshness.unsynced(why, objects);
        }
    }

    /// The first mark of the event is on an object.
    pub(super) fn refreshed(&self, event: &MatchedEvent) {
        let age = age(event.received_at);
        self.metrics
            .freshness
            .event_age(event.lane, event.kind, age);
    }

    /// `oldest`: when the oldest event at work was received.
    pub(super) fn waiting(&self, oldest: Option<Timestamp>, pending: Pending) {
        let oldest = oldest.map(age).unwrap_or_default();
        self.metrics.freshness.oldest_held(oldest);
        self.metrics.freshness.pending(pending);
    }

    /// ESO has synced an object for an event, or not.
    pub(super) fn sync_ended(
        &mut self,
        event: Fingerprint,
        target: &ObjectRef,
        result: SyncResult,
        after: Duration,
    ) {
        self.metrics.ended_sync(result);
        if result == SyncResult::synced {
            // Only amid mass work the ledger forgets events.
            let asked = self.ledger.asked(event);
            let lane = asked.map_or(Lane::mass, |(lane, _)| lane);
            self.metrics.freshness.synced(lane, after);
            if let Some((_, received_at)) = asked {
                self.metrics.freshness.event_synced(lane, age(received_at));
            }
        }
        self.unsynced.ended(target, result);
        self.show_unsynced();
    }
}

/// How long ago; zero for a moment in the future.
fn age(moment: Timestamp) -> Duration {
    Duration::try_from(now().duration_since(moment)).unwrap_or_default()
}
