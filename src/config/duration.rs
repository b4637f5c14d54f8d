//! Durations as people write them: `2s`, `1m 30s`, `24h`. For `#[serde(with = "…")]`.
//!
//! Zero is refused: a timeout or an age of zero cannot work. The few settings that zero switches off use
//! [`or_zero`].

use std::{borrow::Cow, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserializer, Serializer, de::Error};

/// What a duration looks like, for `#[schemars(with = "…")]`.
pub struct Written;

impl JsonSchema for Written {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Such as 500ms, 2s, 1m 30s or 24h",
            "pattern": "^( *[0-9]+ *[a-zA-Z]+)+$"
        })
    }
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let duration = or_zero::deserialize(deserializer)?;
    if duration.is_zero() {
        return Err(D::Error::custom(
            "0 is not allowed here: remove it, or write a duration such as 2s",
        ));
    }
    Ok(duration)
}

pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

/// A duration in text that is no setting; may be zero.
pub fn parse(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

/// The same for a setting that may be zero.
pub mod or_zero {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, de::Error as _};

    pub use super::serialize;

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|error| {
            D::Error::custom(format!(
                "`{text}` is not a duration such as 2s or 24h: {error}"
            ))
        })
    }
}

/// The same for a setting that may be absent; use it with `#[serde(default)]`.
pub mod optional {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::deserialize(deserializer).map(Some)
    }

    pub fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }
}
