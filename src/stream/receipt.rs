//! What became of an event in a cluster, in `ESO_RELAY_RECEIPTS`.
//!
//! Subject `eso-relay.receipts.v1.<cluster>.<source>.<fingerprint>`, of which the stream keeps the last
//! message: a later receipt takes the place of the one before. Receipts are best effort; nothing
//! depends on one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::subject::MAJOR;
use crate::{Slug, event::Fingerprint};

/// The most examples of one receipt: an event may mean thousands of objects.
pub const MAX_EXAMPLES: usize = 10;

/// Counts objects, of which an event may mean many; unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The value in the annotation of what was refreshed.
    pub fingerprint: Fingerprint,
    pub source: Slug,
    pub cluster: Slug,
    /// Where its message stands in the events stream.
    pub sequence: u64,
    /// How often the message had been delivered.
    pub attempt: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// At the ingress; of a replay, when it was replayed.
    pub received_at: Timestamp,
    /// By the consumer.
    pub taken_at: Timestamp,
    /// The last patch, or the last word of the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patched_at: Option<Timestamp>,
    /// The last word on a sync by ESO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
    /// No receipt will take its place, unless the event is delivered again.
    pub last: bool,
    /// Objects that the event means and that can be refreshed.
    pub matched: usize,
    #[serde(flatten)]
    pub counts: Counts,
    /// Objects that it means and that a refresh would not reach, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, usize>,
    /// Some of those that were not synced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

/// Of what was matched. Each object counts once in the first row in the end, and once in the second if
/// it was patched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Written, or found to be written already.
    pub patched: usize,
    /// Not there any more.
    pub gone: usize,
    /// By the API, for good; the event is a dead letter.
    pub refused: usize,
    /// Not taken in time; the event is a dead letter.
    pub gave_up: usize,
    /// A newer event answers for it there; what becomes of that one, its own receipt tells.
    pub superseded: usize,

    pub synced: usize,
    /// ESO said so.
    pub failed: usize,
    /// ESO said nothing in its time.
    pub silent: usize,
}

/// An object, by namespace and name, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    pub object: String,
    pub what: String,
}

impl Receipt {
    pub fn subject(&self) -> String {
        subject(&self.cluster, &self.source, self.fingerprint)
    }

    /// All that could be done is done.
    pub fn is_well(&self) -> bool {
        let Counts {
            refused,
            gave_up,
            superseded,
            failed,
            silent,
            ..
        } = self.counts;
        self.last && refused + gave_up + superseded + failed + silent + self.unobserved() == 0
    }

    /// Objects of which the last word is still to come, or, after the last receipt, will not come:
    /// their consumer has stopped.
    pub fn unobserved(&self) -> usize {
        let Counts {
            gone,
            refused,
            gave_up,
            superseded,
            synced,
            failed,
            silent,
            ..
        } = self.counts;
        let over = gone + refused + gave_up + superseded + synced + failed + silent;
        self.matched.saturating_sub(over)
    }
}

/// Where the receipt of an event in a cluster is.
pub fn subject(cluster: &Slug, source: &Slug, event: Fingerprint) -> String {
    format!("eso-relay.receipts.v{MAJOR}.{cluster}.{source}.{event}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_small_and_comes_back_as_it_was() {
        let receipt = Receipt {
            fingerprint: "0123456789abcdef0123".parse().unwrap(),
            source: "prod".parse().unwrap(),
            cluster: "east".parse().unwrap(),
            sequence: 7,
            attempt: 1,
            trace_id: None,
            received_at: Timestamp::UNIX_EPOCH,
            taken_at: Timestamp::UNIX_EPOCH,
            patched_at: None,
            observed_at: None,
            last: true,
            matched: 0,
            counts: Counts::default(),
            skipped: BTreeMap::new(),
            examples: Vec::new(),
        };
        let json = serde_json::to_string(&receipt).unwrap();
        assert!(json.len() < 400, "{json}");
        assert_eq!(serde_json::from_str::<Receipt>(&json).unwrap(), receipt);
        let more = json.replacen('{', r#"{"ofAnotherVersion":1,"#, 1);
        assert_eq!(serde_json::from_str::<Receipt>(&more).unwrap(), receipt);
        assert_eq!(
            receipt.subject(),
            "eso-relay.receipts.v1.east.prod.0123456789abcdef0123"
        );
    }
}
