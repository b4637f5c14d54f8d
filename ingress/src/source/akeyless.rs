//! Akeyless Event Center: <https://docs.akeyless.io/docs/webhook-event-forwarder>.
//!
//! Three shapes are in use: an array of events, the same grouped by type, and that below
//! `Akeyless_Events`. Periodic forwarders send many at once.

use eso_relay::event::{Keys, Operation};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Change, DecodeError, Decoded, Element, Irrelevant, checked_id, checked_type,
    json::{Object, Scalar, Shape, elements, fields, place, shape, whole},
    malformed,
};

/// The types after which a secret has another value; all else is about requests, failures, expiry.
const CHANGES: [&str; 3] = [
    "static-secret-updated",
    "rotated-secret-success",
    "certificate-provisioning-success",
];

/// The fields of an event that matter; `payload` is not one of them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    event_id: Scalar,
    event_type: Scalar,
    item_name: Scalar,
    name: Scalar,
}

pub(super) fn decode(body: &[u8]) -> Result<Decoded, DecodeError> {
    let body = whole(body)?;
    let found: Vec<(Option<String>, &RawValue)> = match shape(body) {
        Shape::Object(object) if !object.contains_key("event_type") => grouped(object)?,
        _ => elements(body)?
            .into_iter()
            .map(|element| (None, element))
            .collect(),
    };
    Decoded::each(found, |index, (group, element)| {
        read(&place(index), group, element)
    })
}

/// `{type: [event, …]}`, by itself or below `Akeyless_Events`, which the documentation of the Event
/// Center writes with a space (<https://docs.akeyless.io/docs/event-center>).
fn grouped(mut object: Object<'_>) -> Result<Vec<(Option<String>, &RawValue)>, DecodeError> {
    let mut names = object.keys();
    let wrapper = names.find(|name| normal(name) == "akeyless-events");
    if let Some(inner) = wrapper.and_then(|name| object.get(name).copied()) {
        match shape(inner) {
            Shape::Object(groups) => object = groups,
            _ => return Err(malformed("Akeyless_Events is not an object")),
        }
    }
    let mut found = Vec::new();
    for (kind, group) in object {
        match shape(group) {
            Shape::Array(events) => {
                found.extend(
                    events
                        .into_iter()
                        .map(|event| (Some(kind.to_string()), event)),
                );
            }
            _ => {
                return Err(malformed(
                    "the body is neither an event with event_type nor events grouped by their type",
                ));
            }
        }
    }
    Ok(found)
}

fn read(place: &str, group: Option<String>, element: &RawValue) -> Result<Element, DecodeError> {
    let at = |field: &str| format!("{place}: {field}");
    let element: Fields = fields(element, place)?;
    let kind = match group {
        Some(group) => group,
        None => element.event_type.required(&at("event_type"))?,
    };
    let kind = checked_type(kind, &at("event_type"))?;
    if !CHANGES.contains(&normal(&kind).as_str()) {
        return Ok(Element::Ignored(Irrelevant::Type));
    }
    let name = match element.item_name {
        Scalar::Missing => element.name,
        item_name => item_name,
    };
    let keys = Keys::one(name.required(&at("item_name"))?)
        .map_err(|problem| malformed(at(&format!("item_name: {problem}"))))?;
    let id = element.event_id.optional(&at("event_id"))?;
    let id = id.map(|id| checked_id(id, &at("event_id"))).transpose()?;
    let mut change = Change::of(keys).identified(id);
    change.origin.kind = Some(kind);
    change.operation = Operation::Updated;
    Ok(change.into())
}

/// The console shows the types with spaces and capitals, and some forwarders send them so.
fn normal(kind: &str) -> String {
    kind.trim().to_ascii_lowercase().replace([' ', '_'], "-")
}
