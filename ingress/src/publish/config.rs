//! How many events wait, how many messages are in flight, and for how long.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use eso_relay::config::duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::split::MessageLimits;

/// A consumer acks a message as a whole: a larger one would repeat more work after a crash.
const MAX_MESSAGE_EVENTS: usize = 1000;

/// The smallest useful message: an event has some 500 bytes besides its keys and its `target`.
pub(crate) const LEAST_MESSAGE_BYTES: usize = 1024;

/// The setting `publish`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PublishConfig {
    /// How many events may wait; one more is a 503. Default 16384.
    pub queue: NonZeroU32,
    /// How many messages may be unacked at a time. More of them are smaller. Default 4.
    pub in_flight: NonZeroUsize,
    /// How long to wait for a `PubAck` before the same message is sent again. Default 2s.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    pub attempt_timeout: Duration,
    /// How long an event may wait for its `PubAck` in all. Default 8s: most elections of a stream's
    /// leader (4 to 9 s) pass unnoticed, and most senders wait for 10 s.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    pub deadline: Duration,
    /// The largest message body, and so the largest event. Default 262144 (256 KiB), at least 1024. Where the
    /// server (`max_payload`) or the stream (`max_msg_size`) accepts less, that is the limit.
    pub max_message_bytes: usize,
}

impl Default for PublishConfig {
    fn default() -> Self {
        Self {
            // OK because the numbers are written here and are not zero.
            queue: NonZeroU32::new(16_384).expect("not zero"),
            in_flight: NonZeroUsize::new(4).expect("not zero"),
            attempt_timeout: Duration::from_secs(2),
            deadline: Duration::from_secs(8),
            max_message_bytes: 256 * 1024,
        }
    }
}

impl PublishConfig {
    /// What is wrong with it and what to do.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.max_message_bytes < LEAST_MESSAGE_BYTES {
            return Err(format!(
                "`publish.max_message_bytes` is {}: events would not fit; the least is {LEAST_MESSAGE_BYTES}, or remove it for the default",
                self.max_message_bytes
            ));
        }
        Ok(())
    }

    pub(super) fn limits(&self) -> MessageLimits {
        MessageLimits {
            events: MAX_MESSAGE_EVENTS,
            bytes: self.max_message_bytes,
        }
    }
}
