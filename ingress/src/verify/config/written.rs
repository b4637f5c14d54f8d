//! Parses a scheme: its name with settings, or its name alone.

use std::fmt;

use schemars::Schema;
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Value, json};

use super::AuthConfig;
use crate::verify::SnsConfig;

/// The derived parser would do, but the crate `config` panics at a name alone.
struct Written(AuthConfig);

struct Reader;

/// Adds the names alone, which the derived schema lacks.
pub(super) fn names(schema: &mut Schema) {
    if let Some(Value::Array(ways)) = schema.get_mut("oneOf") {
        ways.push(json!({ "const": "sns" }));
    }
}

pub(crate) fn one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AuthConfig, D::Error> {
    Written::deserialize(deserializer).map(|written| written.0)
}

pub(super) fn several<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<AuthConfig>, D::Error> {
    let several = Vec::<Written>::deserialize(deserializer)?;
    Ok(several.into_iter().map(|written| written.0).collect())
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scheme such as `none` or `basic: { … }`")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Written, E> {
        match name {
            "none" => Ok(Written(AuthConfig::None)),
            "sns" => Ok(Written(AuthConfig::Sns(SnsConfig::default()))),
            _ => Err(E::custom(format!(
                "auth: `{name}` alone is no scheme: write its settings too, such as `basic: {{ username: …, password_file: … }}`"
            ))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Written, A::Error> {
        let scheme = AuthConfig::deserialize(MapAccessDeserializer::new(&mut map))?;
        if map.next_key::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom(
                "auth names two schemes: write `all: [ … ]` or `any: [ … ]` around them",
            ));
        }
        Ok(Written(scheme))
    }
}
