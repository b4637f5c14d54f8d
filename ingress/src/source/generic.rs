//! Any JSON: the configuration says where the keys, the id, the type and the time stand.

use eso_relay::event::{Keys, Kind, Match};
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::{
    Change, DecodeError, Decoded, Element, Irrelevant, Pointer, checked_id, checked_type,
    json::{Scalar, Shape, elements, place, shape, whole},
    malformed,
};

/// Where things stand in a body.
pub(super) struct Mapping {
    /// The event or the array of events; the whole body by default.
    pub events: Option<Pointer>,
    /// Aliases of one secret. Without any, an event means all of the source's `scope`.
    pub keys: Vec<Pointer>,
    pub id: Option<Pointer>,
    pub kind: Option<Pointer>,
    /// Which types count. Empty: all.
    pub kinds: Vec<String>,
    pub time: Option<Pointer>,
}

/// What the headers say of the body, where the sender has such headers. The mapping's own `id` and
/// `type` come first.
#[derive(Default)]
pub(super) struct Envelope {
    /// The same again when the sender tries again.
    pub id: Option<String>,
    pub kind: Option<String>,
}

impl Mapping {
    pub(super) fn decode(&self, envelope: Envelope, body: &[u8]) -> Result<Decoded, DecodeError> {
        let body = whole(body)?;
        let events = match &self.events {
            None => body,
            Some(events) => events
                .find(body)
                .ok_or_else(|| malformed(format!("{} is missing", events.as_str())))?,
        };
        Decoded::each(elements(events)?, |index, element| {
            self.element(&envelope, &place(index), element)
        })
    }

    fn element(
        &self,
        envelope: &Envelope,
        place: &str,
        element: &RawValue,
    ) -> Result<Element, DecodeError> {
        let Shape::Object(_) = shape(element) else {
            return Err(malformed(format!("{place} is not an object")));
        };
        let at = |pointer: &Pointer| format!("{place}: {}", pointer.as_str());
        let text = |pointer: &Option<Pointer>| match pointer {
            None => Ok(None),
            Some(pointer) => scalar(pointer, element).optional(&at(pointer)),
        };
        let at = |pointer: &Option<Pointer>| pointer.as_ref().map_or(String::new(), at);
        let kind = text(&self.kind)?
            .map(|kind| checked_type(kind, &at(&self.kind)))
            .transpose()?
            .or_else(|| envelope.kind.clone());
        if !allowed(&self.kinds, kind.as_deref()) {
            return Ok(Element::Ignored(Irrelevant::Type));
        }
        let id = text(&self.id)?
            .map(|id| checked_id(id, &at(&self.id)))
            .transpose()?
            .or_else(|| envelope.id.clone());
        let stated = self.time.as_ref().map(|time| scalar(time, element));
        let mut change = if self.keys.is_empty() {
            Change::new(Kind::ScopeChanged, Match::Scope)
        } else {
            Change::of(keys(&self.keys, element, place)?)
        }
        .identified(id);
        change.origin.kind = kind;
        change.time = stated.as_ref().and_then(time);
        Ok(change.into())
    }
}

/// Whether a type is on the list; an empty list takes every type.
pub(super) fn allowed(kinds: &[String], kind: Option<&str>) -> bool {
    kinds.is_empty() || kind.is_some_and(|kind| kinds.iter().any(|allowed| allowed == kind))
}

/// The aliases that stand at the pointers. Each may be missing, but not all of them.
pub(super) fn keys(
    pointers: &[Pointer],
    json: &RawValue,
    place: &str,
) -> Result<Keys, DecodeError> {
    let mut keys = Vec::new();
    for pointer in pointers {
        let at = format!("{place}: {}", pointer.as_str());
        match pointer.find(json).map(|found| (found, shape(found))) {
            None => {}
            Some((_, Shape::Array(several))) => {
                for one in several {
                    keys.push(parse(one).required(&at)?);
                }
            }
            Some((one, _)) => keys.extend(parse(one).optional(&at)?),
        }
    }
    if keys.is_empty() {
        let wanted: Vec<&str> = pointers.iter().map(Pointer::as_str).collect();
        return Err(malformed(format!(
            "{place}: no key at {}",
            wanted.join(" or ")
        )));
    }
    Keys::new(keys).map_err(|problem| malformed(format!("{place}: {problem}")))
}

fn scalar(pointer: &Pointer, json: &RawValue) -> Scalar {
    pointer.find(json).map_or(Scalar::Missing, parse)
}

fn parse(json: &RawValue) -> Scalar {
    serde_json::from_str(json.get()).unwrap_or(Scalar::Other)
}

/// The time that a field tells. One that cannot be read is no reason to miss a change.
pub(super) fn time(field: &Scalar) -> Option<Timestamp> {
    match field {
        Scalar::Text(text) => timestamp(text),
        Scalar::Missing | Scalar::Other => None,
    }
}

/// RFC 3339, or Unix time in seconds or milliseconds.
pub(super) fn timestamp(text: &str) -> Option<Timestamp> {
    // In milliseconds this is the year 1973, in seconds the year 5138.
    const FIRST_IN_MILLISECONDS: i64 = 100_000_000_000;
    match text.parse::<i64>() {
        Ok(unix) if unix < FIRST_IN_MILLISECONDS => Timestamp::from_second(unix).ok(),
        Ok(unix) => Timestamp::from_millisecond(unix).ok(),
        Err(_) => text.parse().ok(),
    }
}
