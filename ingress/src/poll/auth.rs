//! Parses `auth` of a poll: one way to log in, with its settings.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::config::PollAuthConfig;

/// The derived parser would do, but the crate `config` panics at a name alone.
struct Reader;

pub(super) fn one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PollAuthConfig, D::Error> {
    deserializer.deserialize_any(Reader)
}

impl<'de> Visitor<'de> for Reader {
    type Value = PollAuthConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a way to log in such as `token_file: …` or `kubernetes: { role: … }`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PollAuthConfig, A::Error> {
        let auth = PollAuthConfig::deserialize(MapAccessDeserializer::new(&mut map))?;
        if map.next_key::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom(
                "auth names two ways to log in: write one of token_file, kubernetes, approle and jwt",
            ));
        }
        Ok(auth)
    }
}
