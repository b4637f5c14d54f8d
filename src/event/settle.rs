//! The time after which every reader of a store gets the new value.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::config::duration;

/// More than zero, at most [`Settle::MAX`]; `2s` as text. After it the target is refreshed once more, because a
/// store may send its webhook before its own replicas and caches have the new value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Settle(Duration);

/// The duration is not a [`Settle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettle {
    #[error("zero is no time to settle: make it longer, or leave it out")]
    Zero,
    #[error("longer than {} minutes: shorten it", Settle::MAX.as_secs() / 60)]
    TooLong,
    #[error("not a duration such as 2s or 500ms")]
    NotADuration,
}

impl Settle {
    /// The delivery stays un-acked for this time, and counts as held.
    pub const MAX: Duration = Duration::from_secs(10 * 60);

    pub fn get(self) -> Duration {
        self.0
    }
}

impl TryFrom<Duration> for Settle {
    type Error = InvalidSettle;

    fn try_from(duration: Duration) -> Result<Self, InvalidSettle> {
        if duration.is_zero() {
            Err(InvalidSettle::Zero)
        } else if duration > Self::MAX {
            Err(InvalidSettle::TooLong)
        } else {
            Ok(Self(duration))
        }
    }
}

impl FromStr for Settle {
    type Err = InvalidSettle;

    fn from_str(text: &str) -> Result<Self, InvalidSettle> {
        humantime::parse_duration(text)
            .map_err(|_| InvalidSettle::NotADuration)?
            .try_into()
    }
}

impl fmt::Display for Settle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl Serialize for Settle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Settle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        duration::deserialize(deserializer)?
            .try_into()
            .map_err(D::Error::custom)
    }
}

impl JsonSchema for Settle {
    fn schema_name() -> Cow<'static, str> {
        duration::Written::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        duration::Written::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_people_write_durations() {
        for text in ["2s", "500ms", "1m 30s", "10m"] {
            assert_eq!(text.parse::<Settle>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_would_never_settle_or_hold_a_delivery_for_too_long_is_refused() {
        for (text, error) in [
            ("0s", InvalidSettle::Zero),
            ("11m", InvalidSettle::TooLong),
            ("2", InvalidSettle::NotADuration),
        ] {
            assert_eq!(text.parse::<Settle>(), Err(error), "{text}");
        }
    }
}
