//! Our own `data` in a sender's event, with the same checks as any payload. Its target is not read: that comes
//! from the configuration alone.

use std::collections::BTreeMap;

use eso_relay::event::{Keys, Kind, Match, Operation, Version};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::source::{
    Change, DecodeError,
    element::{MAX_ATTRIBUTE_BYTES, MAX_ATTRIBUTES},
    json::{Scalar, fields},
    malformed,
};

/// The most labels of a version.
const MAX_LABELS: usize = 16;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    provider: Scalar,
    operation: Operation,
    #[serde(rename = "match")]
    matches: Scalar,
    keys: Vec<String>,
    version: Option<Version>,
    scope: BTreeMap<String, String>,
}

/// Our own event type of this name.
pub(super) fn kind(name: &str) -> Option<Kind> {
    serde_json::from_value(name.into()).ok()
}

/// `None` if the data has neither a match nor keys.
pub(super) fn change(
    data: &RawValue,
    allow_all: bool,
    place: &str,
) -> Result<Option<Change>, DecodeError> {
    if data.get() == "null" {
        return Ok(None);
    }
    let mut data: Data = fields(data, &format!("{place}: data"))?;
    data.scope.retain(|_, value| !value.is_empty());
    let at = |what: &str| malformed(format!("{place}: data.{what}"));
    let matches = data.matches.optional(format!("{place}: data.match"))?;
    let matches = match (matches.as_deref(), &data.keys[..]) {
        (None, []) => return Ok(None),
        (None | Some("exact"), _) => {
            Match::Exact(Keys::new(data.keys).map_err(|problem| at(&format!("keys: {problem}")))?)
        }
        (Some("prefix"), [path]) => {
            Keys::one(path).map_err(|problem| at(&format!("keys: {problem}")))?;
            Match::Prefix(path.clone())
        }
        (Some("prefix"), _) => return Err(at("keys: `prefix` takes one key")),
        (Some("scope"), _) if data.scope.is_empty() => return Err(at("scope is empty")),
        (Some("scope"), _) => Match::Scope,
        (Some("all"), _) if allow_all => Match::All,
        (Some("all"), _) => {
            return Err(at(
                "match: `all` is not allowed here (setting `mapping.allow_all`)",
            ));
        }
        (Some(_), _) => return Err(at("match is not exact, prefix, scope or all")),
    };
    let short = |text: &String| text.len() <= MAX_ATTRIBUTE_BYTES;
    let scope_fits = data.scope.len() <= MAX_ATTRIBUTES
        && data
            .scope
            .iter()
            .all(|(name, value)| short(name) && short(value));
    if !scope_fits {
        return Err(at("scope is too large"));
    }
    let version_fits = data.version.as_ref().is_none_or(|version| {
        version.id.iter().chain(&version.labels).all(short) && version.labels.len() <= MAX_LABELS
    });
    if !version_fits {
        return Err(at("version is too large"));
    }
    let provider = data.provider.optional(format!("{place}: data.provider"))?;
    let provider = provider
        .map(|name| {
            name.parse()
                .map_err(|_| at("provider is not a name of a-z, 0-9 and -"))
        })
        .transpose()?;
    let mut change = Change::new(Kind::SecretChanged, matches);
    change.operation = data.operation;
    change.provider = provider;
    change.version = data.version;
    change.scope = data.scope;
    Ok(Some(change))
}
