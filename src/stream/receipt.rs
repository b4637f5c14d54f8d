//! The result of an event in a cluster, in `ESO_RELAY_RECEIPTS`.
//!
//! Subject `eso-relay.receipts.v1.<cluster>.<source>.<fingerprint>`, of which the stream keeps the last
//! message: a later receipt replaces the one before. Receipts are best effort; nothing depends on one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::subject::MAJOR;
use crate::{Slug, event::Fingerprint};

/// The most examples of one receipt: an event may match thousands of objects.
pub const MAX_EXAMPLES: usize = 10;

/// Counts objects, of which an event may match many; unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The value in the annotation of what was refreshed.
    pub fingerprint: Fingerprint,
    pub source: Slug,
    pub cluster: Slug,
    /// The sequence of its message in the events stream.
    pub sequence: u64,
    /// How often the message had been delivered.
    pub attempt: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// At the ingress; of a replay, when it was replayed.
    pub received_at: Timestamp,
    /// By the consumer.
    pub taken_at: Timestamp,
    /// When the API last answered a patch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patched_at: Option<Timestamp>,
    /// When a workload was last restarted, or is known not to be, or to have rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarted_at: Option<Timestamp>,
    /// When a sync by ESO was last observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
    /// It is final, unless the event is redelivered.
    pub last: bool,
    /// Objects that the event matches and that can be refreshed.
    pub matched: usize,
    /// Workloads that are to be restarted for it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub workloads: usize,
    #[serde(flatten)]
    pub counts: Counts,
    /// Objects that it matches and that a refresh would not reach, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, usize>,
    /// Some of those that were not synced or not restarted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

/// Of the matched objects. In the end each counts once in the first group, and once in the second if it was
/// patched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Written, or found to be written already.
    pub patched: usize,
    /// Deleted meanwhile.
    pub gone: usize,
    /// Refused by the API for good; the event is a dead letter.
    pub refused: usize,
    /// Not taken in time; the event is a dead letter.
    pub gave_up: usize,
    /// A newer event refreshes the object instead; its result is in its own receipt.
    pub superseded: usize,

    pub synced: usize,
    /// ESO reported an error.
    pub failed: usize,
    /// ESO reported nothing in time.
    pub silent: usize,

    /// Of the workloads: patched, so that their pods are replaced.
    #[serde(skip_serializing_if = "is_zero")]
    pub restarted: usize,
    /// Of the restarted: all pods are replaced and ready.
    #[serde(skip_serializing_if = "is_zero")]
    pub rolled_out: usize,
    /// Not restarted for a reason.
    #[serde(skip_serializing_if = "is_zero")]
    pub not_restarted: usize,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// An object, by namespace and name, and its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    pub object: String,
    pub what: String,
}

impl Receipt {
    pub fn subject(&self) -> String {
        subject(&self.cluster, &self.source, self.fingerprint)
    }

    /// Every object is synced or gone, every workload is restarted, and the receipt is final.
    pub fn is_well(&self) -> bool {
        let Counts {
            refused,
            gave_up,
            superseded,
            failed,
            silent,
            not_restarted,
            ..
        } = self.counts;
        let not_refreshed = refused + gave_up + superseded + failed + silent + self.unobserved();
        self.last && not_refreshed + not_restarted + self.unrestarted() == 0
    }

    /// Objects whose result is still to come or, after the final receipt, will not come because their consumer
    /// has stopped.
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

    /// Workloads whose restart is still to come or, after the final receipt, is made by another replica.
    pub fn unrestarted(&self) -> usize {
        let over = self.counts.restarted + self.counts.not_restarted;
        self.workloads.saturating_sub(over)
    }
}

/// The subject of an event's receipt in a cluster.
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
            restarted_at: None,
            last: true,
            matched: 0,
            workloads: 0,
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
