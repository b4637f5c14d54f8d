//! How far a cluster has come in the events stream, and what it has missed, in `ESO_RELAY_POSITIONS`.
//!
//! Subject `eso-relay.positions.v1.cluster.<cluster>`. The server's own ack floor is not enough: a purge
//! moves it past what nobody has seen, and so does the first ack after messages have expired
//! (nats-server `consumer.go`); and a durable that is lost and made again starts at another place.
//!
//! All replicas of a cluster's consumer write it, by compare-and-set, at every look: so it is also where
//! they see each other.

use std::{collections::BTreeMap, time::Duration};

use async_nats::jetstream::{
    consumer::{self, DeliverPolicy},
    stream,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::subject::MAJOR;
use crate::{Slug, nats::timestamp};

/// A replica that has not written for so long is gone, and what it had claimed is free.
pub const GONE_AFTER: Duration = Duration::from_secs(30);

/// Unknown fields are ignored; those that older versions do not write have defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// When the events stream was made: another one counts from 1 again.
    pub stream: Timestamp,
    /// When the cluster's durable was made: another one may start beyond the floor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durable: Option<Timestamp>,
    /// Every message up to this one was acked, or has been found to be missed.
    pub floor: u64,
    /// When it was written.
    #[serde(default)]
    pub at: Timestamp,
    /// For what everything is still to be refreshed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// Who does that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<Taken>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<Stuck>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub replicas: BTreeMap<String, Replica>,
}

/// Messages were removed before the cluster had seen them: by age, by a purge, or with their stream; or
/// the durable has passed them over, or does not deliver them again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    pub found_at: Timestamp,
    /// How many at most; `None` when they went with their stream.
    pub missed: Option<u64>,
}

/// One replica refreshes everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    pub replica: String,
    /// When it last said so.
    pub at: Timestamp,
}

/// Messages that the server has delivered, that no replica holds, and that do not come again. They
/// count as missed, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stuck {
    /// The durable's ack floor, which stands still as long as they are stuck.
    pub floor: u64,
    pub count: u64,
}

/// What one replica holds of the messages that the server waits for an ack of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replica {
    /// When it last wrote.
    pub at: Timestamp,
    pub held: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lowest: Option<u64>,
    /// Some of them were given back with a delay, and are delivered again by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What the server says now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When the events stream was made.
    pub stream: Timestamp,
    /// The first message that is still there, or will be.
    pub first: u64,
    /// The last message that was ever stored.
    pub last: u64,
    /// When the cluster's durable was made.
    pub durable: Timestamp,
    /// Up to this message it may have passed over what was there when it was made.
    pub start: u64,
    /// Every message up to this one is acked, or was passed over.
    pub ack_floor: u64,
    /// The last message that it has delivered, or passed over.
    pub delivered: u64,
    /// How many of the delivered ones are not acked.
    pub pending: u64,
}

impl Seen {
    pub fn of(stream: &stream::Info, durable: &consumer::Info) -> Self {
        Self {
            stream: timestamp(stream.created),
            // What a filter leaves out never moves the floor, and is not missed.
            first: if is_filtered(&durable.config) {
                0
            } else {
                stream.state.first_sequence
            },
            last: stream.state.last_sequence,
            durable: timestamp(durable.created),
            start: start(durable),
            ack_floor: durable.ack_floor.stream_sequence,
            delivered: durable.delivered.stream_sequence,
            pending: durable.num_ack_pending as u64,
        }
    }
}

/// Up to this message the durable may have passed over what was there when it was made.
fn start(durable: &consumer::Info) -> u64 {
    match durable.config.deliver_policy {
        DeliverPolicy::All => 0,
        DeliverPolicy::ByStartSequence { start_sequence } => start_sequence.saturating_sub(1),
        // At most: it may have moved since.
        _ => durable.ack_floor.stream_sequence,
    }
}

/// Whether an operator's filter leaves events out.
pub fn is_filtered(durable: &consumer::Config) -> bool {
    !durable.filter_subject.is_empty() || !durable.filter_subjects.is_empty()
}

impl Position {
    pub fn subject(cluster: &Slug) -> String {
        format!("eso-relay.positions.v{MAJOR}.cluster.{cluster}")
    }

    /// Where older versions wrote it, in `ESO_RELAY_RECEIPTS`.
    pub fn old_subject(cluster: &Slug) -> String {
        format!("eso-relay.receipts.v{MAJOR}.{cluster}.position")
    }

    /// What follows from the last position and what the server says now. Without a last one the ack
    /// floor is believed: a durable that is new starts where it was told to.
    ///
    /// The last position is some seconds old: a purge of what was acked meanwhile counts as a gap. That
    /// costs a refresh, and the other mistake would cost an event.
    pub fn after(last: Option<&Self>, seen: &Seen, now: Timestamp) -> Self {
        let before_first = seen.first.saturating_sub(1);
        // A stream that ends before the floor was set back, to a backup or by a server that lost its end.
        let same = last.filter(|last| last.stream == seen.stream && last.floor <= seen.last);
        let made_again = last.is_some_and(|last| last.durable_was_made_again(seen));
        let passed = if made_again {
            before_first.max(seen.start)
        } else {
            before_first
        };
        let stuck = same
            .filter(|_| !made_again)
            .and_then(|last| last.stuck)
            .filter(|stuck| stuck.floor == seen.ack_floor)
            .map(|stuck| Stuck {
                count: stuck.count.min(seen.pending),
                ..stuck
            });
        // The ack floor stays behind what is stuck, and would stay there while the rest expires.
        let acked = if seen.pending <= stuck.map_or(0, |stuck| stuck.count) {
            seen.delivered
        } else {
            seen.ack_floor
        };
        let floor = same.map_or(0, |last| last.floor);
        let position = Self {
            stream: seen.stream,
            durable: Some(seen.durable),
            floor: floor.max(acked.min(seen.last)).max(passed),
            at: now,
            gap: last.and_then(|last| last.gap.clone()),
            taken: last.and_then(|last| last.taken.clone()),
            stuck,
            replicas: last.map_or_else(BTreeMap::new, |last| last.replicas.clone()),
        };
        let known = last.map_or(seen.ack_floor, |last| last.floor);
        if last.is_some() && same.is_none() {
            position.missed(None, now)
        } else if passed > known {
            position.missed(Some(passed - known), now)
        } else {
            position
        }
    }

    /// A position of an older version does not say which durable it is of.
    fn durable_was_made_again(&self, seen: &Seen) -> bool {
        match self.durable {
            Some(durable) => durable != seen.durable,
            None => self.at < seen.durable,
        }
    }

    fn missed(mut self, missed: Option<u64>, now: Timestamp) -> Self {
        let missed = match &self.gap {
            Some(open) => missed.zip(open.missed).map(|(one, other)| one + other),
            None => missed,
        };
        let found_at = now;
        self.gap = Some(Gap { found_at, missed });
        self
    }

    /// So many messages are stuck. Those that are not counted yet are missed.
    #[must_use]
    pub fn with_stuck(mut self, count: u64, seen: &Seen, now: Timestamp) -> Self {
        let counted = self.stuck.map_or(0, |stuck| stuck.count);
        if count <= counted {
            return self;
        }
        let floor = seen.ack_floor;
        self.stuck = Some(Stuck { floor, count });
        // Everything that was delivered is acked, held by a replica, or refreshed for this gap.
        self.floor = self.floor.max(seen.delivered.min(seen.last));
        self.missed(Some(count - counted), now)
    }

    /// What this replica holds; others that have not written for long are gone.
    #[must_use]
    pub fn with_replica(mut self, name: &str, replica: Replica) -> Self {
        self.replicas.insert(name.to_owned(), replica);
        self.replicas.retain(|_, other| other.is_there(replica.at));
        self
    }

    /// This replica stops. What it gave back with a delay stays known until it is delivered again.
    #[must_use]
    pub fn without_replica(self, name: &str, last: Replica) -> Self {
        let mut left = self.released(name).with_replica(name, last);
        if last.until.is_none_or(|until| until <= last.at) {
            left.replicas.remove(name);
        }
        left
    }

    /// The replica refreshes everything if that is to be done, unless another one does.
    #[must_use]
    pub fn claimed(mut self, replica: &str, now: Timestamp) -> Self {
        let free = match &self.taken {
            None => true,
            Some(taken) => taken.replica == replica || is_old(taken.at, now),
        };
        if self.gap.is_some() && free {
            self.taken = Some(Taken {
                replica: replica.to_owned(),
                at: now,
            });
        }
        self
    }

    pub fn is_taken_by(&self, replica: &str) -> bool {
        let taken = self.taken.as_ref();
        taken.is_some_and(|taken| taken.replica == replica)
    }

    /// The replica does not refresh everything: another one may.
    #[must_use]
    pub fn released(self, replica: &str) -> Self {
        let taken = self.taken.filter(|taken| taken.replica != replica);
        Self { taken, ..self }
    }

    /// Everything has been refreshed for this gap. Another one may have been found meanwhile.
    #[must_use]
    pub fn closed(mut self, gap: &Gap) -> Self {
        if self.gap.as_ref() == Some(gap) {
            self.gap = None;
            self.taken = None;
        }
        self
    }
}

impl Replica {
    fn is_there(&self, now: Timestamp) -> bool {
        !is_old(self.at, now) || self.until.is_some_and(|until| now < until)
    }
}

fn is_old(at: Timestamp, now: Timestamp) -> bool {
    let age = Duration::try_from(now.duration_since(at)).unwrap_or_default();
    age > GONE_AFTER
}

#[cfg(test)]
mod tests;
