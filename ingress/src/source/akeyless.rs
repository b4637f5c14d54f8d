//! Akeyless Event Center: <https://docs.akeyless.io/docs/webhook-event-forwarder>.
//!
//! Three shapes are in use: an array of events, the same grouped by type, and that below
//! `Akeyless_Events`. Periodic forwarders send many at once.

use eso_relay::event::{Keys, Operation};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Change, DecodeError, Decoded, Element, Irrelevant, checked_type,
    json::{Object, Scalar, Shape, elements, fields, place, shape, whole},
    malformed, usable_id,
};

/// The event types that may change a secret's value; the others are about requests, failures and expiry. A
/// rotation that failed in part (a cluster, linked targets) has succeeded in part.
const CHANGES: [&str; 4] = [
    "static-secret-updated",
    "rotated-secret-success",
    "rotated-secret-partial-failure",
    "certificate-provisioning-success",
];

/// The fields of an event that are read; `payload` is not one of them.
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
    let mut groups = 0;
    let all = object.len();
    for (kind, group) in object {
        let kind = Some(kind.0.into_owned());
        if let Shape::Array(events) = shape(group) {
            groups += 1;
            found.extend(events.into_iter().map(|event| (kind.clone(), event)));
        } else {
            // Malformed, unless its type is ignored.
            found.push((kind, group));
        }
    }
    if groups == 0 && all > 0 {
        return Err(malformed(
            "the body is neither an event with event_type nor events grouped by their type",
        ));
    }
    Ok(found)
}

fn read(place: &str, group: Option<String>, element: &RawValue) -> Result<Element, DecodeError> {
    let at = |field: &str| format!("{place}: {field}");
    let of_a_change = |kind: &str| CHANGES.contains(&normal(kind).as_str());
    if group.as_deref().is_some_and(|kind| !of_a_change(kind)) {
        return Ok(Element::Ignored(Irrelevant::Type));
    }
    let element: Fields = fields(element, place)?;
    let kind = match group {
        Some(group) => group,
        None => element.event_type.required(at("event_type"))?,
    };
    let kind = checked_type(kind, at("event_type"))?;
    if !of_a_change(&kind) {
        return Ok(Element::Ignored(Irrelevant::Type));
    }
    let name = match element.item_name {
        Scalar::Missing => element.name,
        item_name => item_name,
    };
    let keys = Keys::one(name.required(at("item_name"))?)
        .map_err(|problem| malformed(at(&format!("item_name: {problem}"))))?;
    let mut change = Change::of(keys).identified(usable_id(element.event_id));
    change.origin.kind = Some(kind);
    change.operation = Operation::Updated;
    Ok(change.into())
}

/// The console shows the types with spaces and capitals, and some forwarders send them so.
fn normal(kind: &str) -> String {
    kind.trim().to_ascii_lowercase().replace([' ', '_'], "-")
}
