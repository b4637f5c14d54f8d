//! How full a stream is, and how far back it reaches. No I/O.
//!
//! A full stream is normal: the oldest messages are removed for new ones. It then reaches back less than
//! `max_age`, and an outage of a cluster may last no longer.

use std::{fmt, time::Duration};

use async_nats::jetstream::stream::{DiscardPolicy, Info};
use jiff::Timestamp;

use super::{Stream, rule};
use crate::nats::timestamp;

/// From here on there is a warning.
const WARN_FROM: f64 = 0.8;
/// A warning stays until the value has dropped by this much: a stream at the limit goes up and down.
const SLACK: f64 = 0.05;
const FULL: f64 = 0.98;

/// What a stream holds.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    stream: Stream,
    bytes: u64,
    /// `None`: unlimited.
    max_bytes: Option<u64>,
    /// The age of the oldest message.
    reach: Duration,
    /// `None`: unlimited.
    max_age: Option<Duration>,
    refuses: bool,
    messages: u64,
    last: u64,
}

/// How near a stream is to its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Fill {
    #[default]
    Roomy,
    Filling,
    Full,
}

impl History {
    pub fn of(stream: Stream, info: &Info, now: Timestamp) -> Self {
        let state = &info.state;
        let since = now.duration_since(timestamp(state.first_timestamp));
        Self {
            stream,
            bytes: state.bytes,
            max_bytes: u64::try_from(info.config.max_bytes)
                .ok()
                .filter(|max| *max > 0),
            reach: match state.messages {
                0 => Duration::ZERO,
                _ => Duration::try_from(since).unwrap_or_default(),
            },
            max_age: Some(info.config.max_age).filter(|age| !age.is_zero()),
            refuses: info.config.discard == DiscardPolicy::New,
            messages: state.messages,
            last: state.last_sequence,
        }
    }

    /// The age of the oldest message.
    pub fn reach(&self) -> Duration {
        self.reach
    }

    /// Of its size, between 0 and 1; 0 without a limit.
    #[expect(clippy::cast_precision_loss, reason = "a share of a hundred")]
    pub fn share(&self) -> f64 {
        let max = self.max_bytes.map_or(f64::INFINITY, |max| max as f64);
        self.bytes as f64 / max
    }

    /// `before`: the last result.
    pub fn fill(&self, before: Fill) -> Fill {
        let reaches = |fill, from| {
            let slack = if before >= fill { SLACK } else { 0.0 };
            self.share() >= from - slack
        };
        if reaches(Fill::Full, FULL) {
            Fill::Full
        } else if reaches(Fill::Filling, WARN_FROM) {
            Fill::Filling
        } else {
            Fill::Roomy
        }
    }

    /// How near the first message that a cluster has not acked is to its removal: 1 is removed. By its age,
    /// which is estimated if unknown, and by the size of the messages from it on.
    #[expect(clippy::cast_precision_loss, reason = "a share of a hundred")]
    pub fn exposure(&self, ack_floor: u64, age: Option<Duration>) -> f64 {
        let unacked = self.last.saturating_sub(ack_floor).min(self.messages);
        if unacked == 0 {
            return 0.0;
        }
        let part = unacked as f64 / self.messages as f64;
        let age = age.map_or(part * self.reach.as_secs_f64(), |age| age.as_secs_f64());
        let by_age = self.max_age.map_or(0.0, |max| age / max.as_secs_f64());
        let by_size = if self.refuses {
            0.0
        } else {
            part * self.share()
        };
        by_age.max(by_size)
    }
}

/// Whether an [`exposure`](History::exposure) needs a warning; `before`: the last result.
pub fn is_near_removal(exposure: f64, before: bool) -> bool {
    exposure >= WARN_FROM - if before { SLACK } else { 0.0 }
}

/// The warning.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = (100.0 * self.share()).floor();
        let reach = rule::duration(Duration::from_secs(self.reach.as_secs().max(1)));
        let name = self.stream.name();
        write!(
            f,
            "stream {name} is {percent} % full and reaches back {reach}"
        )?;
        if let Some(max) = self.max_age {
            write!(f, " of {}", rule::duration(max))?;
        }
        if self.stream != Stream::Events {
            return f.write_str("; once it is full the oldest messages are removed");
        }
        f.write_str(if self.refuses {
            "; once it is full it refuses new messages: run `eso-relay init`"
        } else {
            "; once it is full, a cluster that is away for longer than that misses events: give it more room with `eso-relay init --max-bytes`"
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stream::Limits;

    const HOUR: Duration = Duration::from_secs(3600);

    /// An events stream of 1 GiB and 72 h with 100 messages, the oldest of them `reach` old.
    fn history(mebibytes: u64, reach: Duration) -> History {
        let now: Timestamp = "2026-01-31T10:00:00Z".parse().unwrap();
        let info = json!({
            "config": Stream::Events.config(&Limits::default()),
            "created": "2026-01-01T00:00:00Z",
            "cluster": null,
            "state": {
                "messages": 100,
                "bytes": mebibytes << 20,
                "first_seq": 901,
                "first_ts": (now - reach).to_string(),
                "last_seq": 1000,
                "last_ts": "2026-01-31T09:00:00Z",
                "consumer_count": 0,
            },
        });
        History::of(Stream::Events, &serde_json::from_value(info).unwrap(), now)
    }

    #[test]
    fn a_fill_is_said_from_80_percent_and_again_at_the_limit() {
        let fills = [700, 819, 820, 1004, 1024].map(|it| history(it, HOUR).fill(Fill::Roomy));
        let [roomy, filling, full] = [Fill::Roomy, Fill::Filling, Fill::Full];
        assert_eq!(fills, [roomy, roomy, filling, full, full]);
        // It stays while the stream goes up and down a little.
        assert_eq!(history(780, HOUR).fill(filling), filling);
        assert_eq!(history(760, HOUR).fill(filling), roomy);
        assert_eq!(history(960, HOUR).fill(full), full);
    }

    #[test]
    fn a_fill_says_how_far_back_the_stream_reaches() {
        let text = history(900, 31 * HOUR).to_string();
        let expected =
            "stream ESO_RELAY is 87 % full and reaches back 31h of 72h; once it is full, ";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn a_cluster_is_near_to_missing_events_by_their_age_or_by_the_room() {
        let percent = |history: &History, floor, age| {
            let percent = 100.0 * history.exposure(floor, age);
            format!("{percent:.0}")
        };
        // All is acked.
        assert_eq!(percent(&history(1024, 72 * HOUR), 1000, None), "0");
        // Half of it is not; how old the first of these is, is known or estimated.
        let old = history(10, 72 * HOUR);
        assert_eq!(percent(&old, 950, None), "50");
        assert_eq!(percent(&old, 950, Some(60 * HOUR)), "83");
        // The stream is full, and the cluster has seen the oldest tenth of it.
        assert_eq!(percent(&history(1024, HOUR), 910, None), "90");
        // Some of what it has not acked is removed.
        assert_eq!(percent(&history(1024, HOUR), 500, None), "100");
    }
}
