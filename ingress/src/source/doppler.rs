//! Doppler: <https://docs.doppler.com/docs/webhooks>.
//!
//! Two equal bodies are two changes, and there is no id: each delivery is new.

use eso_relay::event::{Keys, Operation};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Change, DecodeError, Decoded, Element, Irrelevant,
    json::{Scalar, Shape, fields, part, place, shape, whole},
    malformed,
    scope::{attribute, scope},
};

/// The event type of a change.
const UPDATE: &str = "config.secrets.update";

/// The payload that the webhook is configured to send.
pub(super) enum Payload {
    /// Doppler's own.
    Default,
    /// A custom one of any content; the source's `scope` names the place.
    Custom,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Webhook {
    #[serde(rename = "type")]
    kind: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    name: Scalar,
    project: Scalar,
}

impl Payload {
    pub(super) fn decode(&self, body: &[u8]) -> Result<Decoded, DecodeError> {
        let custom = || Ok(Decoded::one(Change::in_scope([].into()).into()));
        if matches!(self, Self::Custom) && body.trim_ascii().is_empty() {
            return custom();
        }
        let body = whole(body)?;
        let config =
            part(body, "config").filter(|config| matches!(shape(config), Shape::Object(_)));
        let kind = match shape(body) {
            Shape::Object(_) => fields::<Webhook>(body, "the body")?.kind,
            Shape::Array(_) | Shape::Scalar => Scalar::Missing,
        };
        match (self, kind, config) {
            (Self::Default, Scalar::Text(kind), None) if kind == UPDATE => {
                Err(malformed("config is not an object"))
            }
            (_, Scalar::Text(kind), Some(config)) if kind == UPDATE => update(config, body),
            (Self::Default, Scalar::Text(_), _) => {
                Ok(Decoded::one(Element::Ignored(Irrelevant::Type)))
            }
            (Self::Custom, Scalar::Text(kind), Some(_)) if kind.starts_with("config.") => {
                Ok(Decoded::one(Element::Ignored(Irrelevant::Type)))
            }
            (Self::Custom, ..) => custom(),
            (Self::Default, ..) => Err(malformed(
                "the body is not Doppler's own: if the webhook has a custom payload, set `scope` of this source to the project and config",
            )),
        }
    }
}

/// One change for each name of the diff; without a name, one for the whole config.
fn update(config: &RawValue, body: &RawValue) -> Result<Decoded, DecodeError> {
    let config: Config = fields(config, "config")?;
    let required = |field: Scalar, at: &str| {
        attribute(field, at)?.ok_or_else(|| malformed(format!("{at} is missing")))
    };
    let scope = scope([
        ("project", Some(required(config.project, "config.project")?)),
        ("config", Some(required(config.name, "config.name")?)),
    ]);
    let names = part(body, "diff").map_or_else(|| Ok(Vec::new()), names)?;
    if names.is_empty() {
        let mut change = Change::in_scope(scope);
        change.origin.kind = Some(UPDATE.to_owned());
        change.operation = Operation::Updated;
        return Ok(Decoded::one(change.into()));
    }
    Decoded::each(names, |index, (operation, name)| {
        let at = format!("{}: diff", place(index));
        let name = serde_json::from_str(name.get()).unwrap_or(Scalar::Other);
        let keys = Keys::one(name.required(&at)?)
            .map_err(|problem| malformed(format!("{at}: {problem}")))?;
        let mut change = Change::of(keys);
        change.origin.kind = Some(UPDATE.to_owned());
        change.operation = operation;
        change.scope = scope.clone();
        Ok(change.into())
    })
}

fn names(diff: &RawValue) -> Result<Vec<(Operation, &RawValue)>, DecodeError> {
    let mut found = Vec::new();
    for (list, operation) in [
        ("added", Operation::Created),
        ("removed", Operation::Deleted),
        ("updated", Operation::Updated),
    ] {
        match part(diff, list).map(shape) {
            None => {}
            Some(Shape::Array(names)) => {
                found.extend(names.into_iter().map(|name| (operation, name)));
            }
            Some(_) => return Err(malformed(format!("diff.{list} is not an array"))),
        }
    }
    Ok(found)
}
