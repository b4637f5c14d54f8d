//! How far a cluster has come in the events stream, and what it has missed, in `ESO_RELAY_POSITIONS`.
//!
//! Subject `eso-relay.positions.v1.cluster.<cluster>`. The server's own ack floor is not enough: a purge moves
//! it past messages that were never delivered, and so does the first ack after messages have expired
//! (nats-server `consumer.go`); and a durable that is deleted and created again starts at another place.
//!
//! All replicas of a cluster's consumer write it, by compare-and-set, at every check, so that they also see
//! each other there.

use std::{collections::BTreeMap, time::Duration};

use async_nats::jetstream::{
    consumer::{self, DeliverPolicy},
    stream,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::subject::MAJOR;
use crate::{Slug, nats::timestamp};

/// A replica that has not written for this long is gone, and its claim is free.
pub const GONE_AFTER: Duration = Duration::from_secs(30);

/// Unknown fields are ignored; those that older versions do not write have defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// When the events stream was created: a new one counts from 1 again.
    pub stream: Timestamp,
    /// When the cluster's durable was created: a new one may start beyond the floor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durable: Option<Timestamp>,
    /// Every message up to this one was acked, or has been found to be missed.
    pub floor: u64,
    /// When it was written.
    #[serde(default)]
    pub at: Timestamp,
    /// The gap for which everything is still to be refreshed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// The replica that does that.
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
    /// How many at most; `None` when they were removed with their stream.
    pub missed: Option<u64>,
}

/// The replica that refreshes everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    pub replica: String,
    /// When it last renewed its claim.
    pub at: Timestamp,
}

/// Messages that the server has delivered, that no replica holds, and that are not redelivered. They count as
/// missed, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stuck {
    /// The durable's ack floor, which stands still as long as they are stuck.
    pub floor: u64,
    pub count: u64,
}

/// The un-acked messages that one replica holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replica {
    /// When it last wrote.
    pub at: Timestamp,
    pub held: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lowest: Option<u64>,
    /// Some of them were returned with a delay, and are redelivered by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The state of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When the events stream was created.
    pub stream: Timestamp,
    /// The first message that exists, or will.
    pub first: u64,
    /// The last message that was ever stored.
    pub last: u64,
    /// When the cluster's durable was created.
    pub durable: Timestamp,
    /// It may have skipped messages up to this one when it was created.
    pub start: u64,
    /// Every message up to this one is acked, or was skipped.
    pub ack_floor: u64,
    /// The last message that it has delivered, or skipped.
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

/// The durable may have skipped messages up to this one when it was created.
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

    /// The position that follows from the last one and the state of the server. Without a last one the ack
    /// floor is trusted: a new durable starts where it was told to.
    ///
    /// The last position is some seconds old: a purge of what was acked meanwhile counts as a gap. That
    /// costs a refresh, and the other mistake would cost an event.
    pub fn after(last: Option<&Self>, seen: &Seen, now: Timestamp) -> Self {
        let before_first = seen.first.saturating_sub(1);
        // A stream that ends before the floor was restored from a backup, or the server has lost its end.
        let same = last.filter(|last| last.stream == seen.stream && last.floor <= seen.last);
        let recreated = last.is_some_and(|last| last.durable_was_recreated(seen));
        let passed = if recreated {
            before_first.max(seen.start)
        } else {
            before_first
        };
        let stuck = same
            .filter(|_| !recreated)
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
    fn durable_was_recreated(&self, seen: &Seen) -> bool {
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

    /// With `count` stuck messages. Those that are not counted yet are missed.
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

    /// With what this replica holds, and without replicas that are gone.
    #[must_use]
    pub fn with_replica(mut self, name: &str, replica: Replica) -> Self {
        self.replicas.insert(name.to_owned(), replica);
        self.replicas.retain(|_, other| other.is_there(replica.at));
        self
    }

    /// Without this replica, which stops. What it returned with a delay stays known until it is redelivered.
    #[must_use]
    pub fn without_replica(self, name: &str, last: Replica) -> Self {
        let mut left = self.released(name).with_replica(name, last);
        if last.until.is_none_or(|until| until <= last.at) {
            left.replicas.remove(name);
        }
        left
    }

    /// The replica claims the gap, if there is one that no other replica has claimed.
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

    /// The replica gives up its claim: another one may refresh everything.
    #[must_use]
    pub fn released(self, replica: &str) -> Self {
        let taken = self.taken.filter(|taken| taken.replica != replica);
        Self { taken, ..self }
    }

    /// Everything has been refreshed for this gap; a new one may have been found meanwhile.
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
