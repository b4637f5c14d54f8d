//! Whether kubernetes-external-secrets has synced an object since its status was reset.
//!
//! KES polls an object at once when `status.observedGeneration` is less than its generation, and afterwards writes the
//! generation there. It writes with the resourceVersion that its watch gave it, so a poll that began before a reset
//! gets a conflict, and leaves the reset (KES `lib/poller.js`, `_updateStatus`). So no clocks are compared here either:
//! an observed generation after a reset belongs to a poll after it.

use serde_json::Value;

use super::{RefreshMark, Stage, SyncState, SyncVersion};

/// How the status of a poll that failed begins.
const FAILED: &str = "ERROR, ";

impl SyncState {
    /// From the status that KES writes.
    pub fn of_kes(generation: i64, status: &Value) -> Self {
        let observed = status["observedGeneration"].as_f64();
        let polled = observed.is_some_and(|observed| observed >= as_number(generation));
        match status["status"].as_str() {
            Some("SUCCESS") if polled => Self::Synced,
            Some(text) if polled && text.starts_with(FAILED) => Self::Failed,
            _ => Self::Waiting,
        }
    }
}

impl RefreshMark {
    /// The observed generation of a status that is reset for this mark: less than any generation, and another for each
    /// mark. A reset to what is there already would change nothing, and a poll that began before the event could
    /// still write its status.
    pub fn unobserved(self) -> i64 {
        let stage = match self.stage {
            Stage::First => 0,
            Stage::Settled => 1,
        };
        // 48 bits, so that the number is exact in JSON.
        let event = self.event.to_string();
        let event = event.get(..12).unwrap_or_default();
        let event = i64::from_str_radix(event, 16).unwrap_or_default();
        -(1 + 2 * event + stage)
    }
}

/// The schema has a `number` there.
#[expect(clippy::cast_precision_loss, reason = "no object is changed 2⁵³ times")]
fn as_number(generation: i64) -> f64 {
    generation as f64
}

impl SyncVersion {
    /// From the status that KES writes: each poll writes its time, in milliseconds.
    pub fn of_kes(status: &Value) -> Self {
        let text = |field: &str| status[field].as_str().unwrap_or_default();
        let observed = &status["observedGeneration"];
        Self::of_text(&format!(
            "{observed} {} {}",
            text("lastSync"),
            text("status")
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(observed: i64, status: &str) -> Value {
        json!({ "observedGeneration": observed, "status": status, "lastSync": "2022-01-01T00:00:00.000Z" })
    }

    #[test]
    fn a_poll_of_this_generation_is_a_sync() {
        use SyncState::{Failed, Synced, Waiting};
        for (generation, status, expected) in [
            (1, status(1, "SUCCESS"), Synced),
            (2, status(2, "SUCCESS"), Synced),
            // A reset, and a change of the spec.
            (1, status(0, "SUCCESS"), Waiting),
            (1, status(-7, "SUCCESS"), Waiting),
            (2, status(1, "SUCCESS"), Waiting),
            (1, status(1, "ERROR, no such secret"), Failed),
            (1, status(0, "ERROR, no such secret"), Waiting),
            (1, status(1, "Failed"), Waiting),
            (
                1,
                json!({ "observedGeneration": 1.0, "status": "SUCCESS" }),
                Synced,
            ),
            (
                1,
                json!({ "observedGeneration": "1", "status": "SUCCESS" }),
                Waiting,
            ),
            (1, json!({ "status": "SUCCESS" }), Waiting),
            (1, Value::Null, Waiting),
        ] {
            let found = SyncState::of_kes(generation, &status);
            assert_eq!(found, expected, "{generation} {status}");
        }
    }

    #[test]
    fn each_mark_resets_to_a_number_of_its_own() {
        let unobserved = |text: &str| text.parse::<RefreshMark>().unwrap().unobserved();
        let [first, settled] = ["ffffffffffffffffffff", "ffffffffffffffffffff;settle"];
        assert_eq!(unobserved(first), -(2 * 0xffff_ffff_ffff + 1));
        assert_eq!(unobserved(settled), unobserved(first) - 1);
        assert_eq!(unobserved("00000000000000000000"), -1);
        assert!(-unobserved(settled) < 1 << 53, "exact in JSON");
    }

    #[test]
    fn a_reset_and_each_poll_are_versions_of_their_own() {
        let at = |observed: i64, time: &str| {
            let status =
                json!({ "observedGeneration": observed, "status": "SUCCESS", "lastSync": time });
            SyncVersion::of_kes(&status)
        };
        assert_eq!(at(1, "t0"), at(1, "t0"));
        assert_ne!(at(1, "t0"), at(0, "t0"));
        assert_ne!(at(1, "t0"), at(1, "t1"));
    }
}
