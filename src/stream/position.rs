//! How far a cluster has come in the events stream, and what it has missed, in `ESO_RELAY_RECEIPTS`.
//!
//! Subject `eso-relay.receipts.v1.<cluster>.position`. The server's own ack floor is not enough: a purge
//! moves it past what nobody has seen, and so does the first ack after messages have expired
//! (nats-server `consumer.go`).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::subject::MAJOR;
use crate::Slug;

/// Unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// When the events stream was made: another one counts from 1 again.
    pub stream: Timestamp,
    /// Every message up to this one was acked, or has been found to be missed.
    pub floor: u64,
    /// For what everything is still to be refreshed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
}

/// Messages were removed before the cluster had seen them: by age, by a purge, or with their stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    pub found_at: Timestamp,
    /// How many at most; `None` when they went with their stream.
    pub missed: Option<u64>,
}

/// What the server says now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When the events stream was made.
    pub stream: Timestamp,
    /// The first message that is still there, or will be.
    pub first: u64,
    /// Of the cluster's durable: every message up to this one is acked, or was passed over.
    pub ack_floor: u64,
}

impl Position {
    pub fn subject(cluster: &Slug) -> String {
        format!("eso-relay.receipts.v{MAJOR}.{cluster}.position")
    }

    /// What follows from the last position and what the server says now. Without a last one the ack
    /// floor is believed: a durable that is new starts where it was told to.
    ///
    /// The last position is some seconds old: a purge of what was acked meanwhile counts as a gap. That
    /// costs a refresh, and the other mistake would cost an event.
    pub fn after(last: Option<&Self>, seen: Seen, now: Timestamp) -> Self {
        let before_first = seen.first.saturating_sub(1);
        let missed = match last {
            Some(last) if last.stream != seen.stream => Some(None),
            _ => {
                let known = last.map_or(seen.ack_floor, |last| last.floor);
                (before_first > known).then(|| Some(before_first - known))
            }
        };
        let pending = last.and_then(|last| last.gap.clone());
        let gap = missed.map(|missed| Gap {
            found_at: now,
            missed: match &pending {
                Some(pending) => missed.zip(pending.missed).map(|(one, other)| one + other),
                None => missed,
            },
        });
        let same = last.filter(|last| last.stream == seen.stream);
        let floor = same.map_or(0, |last| last.floor);
        Self {
            stream: seen.stream,
            floor: floor.max(seen.ack_floor).max(before_first),
            gap: gap.or(pending),
        }
    }

    /// Everything has been refreshed for this gap. Another one may have been found meanwhile.
    #[must_use]
    pub fn closed(self, gap: &Gap) -> Self {
        Self {
            gap: self.gap.filter(|open| open != gap),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: Timestamp = Timestamp::UNIX_EPOCH;

    fn now() -> Timestamp {
        "2026-01-31T08:00:00Z".parse().unwrap()
    }

    fn seen(first: u64, ack_floor: u64) -> Seen {
        Seen {
            stream: THEN,
            first,
            ack_floor,
        }
    }

    fn at(floor: u64) -> Position {
        Position {
            stream: THEN,
            floor,
            gap: None,
        }
    }

    /// How many were missed.
    fn missed(last: Option<&Position>, seen: Seen) -> Option<u64> {
        let gap = Position::after(last, seen, now()).gap;
        gap.map(|gap| gap.missed.unwrap())
    }

    #[test]
    fn what_was_removed_before_it_was_acked_is_a_gap_and_nothing_else() {
        for (last, seen, expected) in [
            // Nothing is removed, or only what was acked.
            (None, seen(1, 0), None),
            (None, seen(0, 0), None),
            (None, seen(51, 50), None),
            (Some(at(50)), seen(1, 70), None),
            (Some(at(50)), seen(51, 70), None),
            // Expired: the floor stands still.
            (None, seen(61, 50), Some(10)),
            (Some(at(50)), seen(61, 50), Some(10)),
            // Expired, and the first message after them is acked; or purged.
            (Some(at(50)), seen(61, 61), Some(10)),
            (Some(at(50)), seen(61, 60), Some(10)),
        ] {
            assert_eq!(missed(last.as_ref(), seen), expected, "{last:?} {seen:?}");
        }
    }

    #[test]
    fn what_went_with_its_stream_is_a_gap_of_unknown_size() {
        let other = Seen {
            stream: now(),
            ..seen(1, 0)
        };
        let after = Position::after(Some(&at(50)), other, now());
        assert_eq!(after.gap.as_ref().unwrap().missed, None);
        assert_eq!((after.stream, after.floor), (now(), 0));
        assert_eq!(Position::after(Some(&after), other, now()), after);
    }

    #[test]
    fn a_gap_is_found_once_and_stays_until_it_is_closed() {
        let found = Position::after(Some(&at(50)), seen(61, 50), THEN);
        assert_eq!(found.floor, 60);
        let later = Position::after(Some(&found), seen(61, 80), now());
        assert_eq!((&later.gap, later.floor), (&found.gap, 80));
        let gap = found.gap.clone().unwrap();
        assert_eq!(later.closed(&gap), at(80));
        // Another one, while everything is still being refreshed for the first.
        let more = Position::after(Some(&found), seen(71, 50), now());
        assert_eq!(more.gap.as_ref().unwrap().missed, Some(20));
        assert_eq!(more.clone().closed(&gap), more);
    }

    #[test]
    fn it_comes_back_as_it_was_written() {
        let position = Position::after(Some(&at(50)), seen(61, 50), now());
        let json = serde_json::to_string(&position).unwrap();
        assert_eq!(serde_json::from_str::<Position>(&json).unwrap(), position);
        let east = "east".parse().unwrap();
        assert_eq!(
            Position::subject(&east),
            "eso-relay.receipts.v1.east.position"
        );
    }
}
