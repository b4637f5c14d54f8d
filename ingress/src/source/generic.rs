//! Any JSON: the configuration points to the keys, the id, the type and the time.

use std::borrow::Cow;

use eso_relay::event::Keys;
use http::HeaderMap;
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::{
    DecodeError, Decoded, Element, Irrelevant, Pointer, checked_type,
    json::{Scalar, Shape, elements, is_object, place, shape, whole},
    malformed,
    meaning::{Meaning, keys, scalar},
    pointer::open,
    usable_id,
};

/// Pointers to the parts of a body.
pub(super) struct Mapping {
    /// The event or the array of events; the whole body by default.
    pub events: Option<Pointer>,
    /// In an event, a list whose members are a change each.
    pub each: Option<Pointer>,
    pub meaning: Meaning,
    pub id: Option<Pointer>,
    pub kind: Option<Pointer>,
    /// The types that are not ignored. Empty: all.
    pub kinds: Vec<String>,
    pub time: Option<Pointer>,
}

/// What the sender's headers or the outside of the body tell of every event. The mapping's own `id`, `type` and
/// `time` take precedence.
#[derive(Default)]
pub(super) struct Envelope {
    /// Stays the same when the sender retries.
    pub id: Option<String>,
    /// Identifies the delivery at the sender, but changes with each attempt.
    pub reference: Option<String>,
    pub kind: Option<String>,
    pub time: Option<Timestamp>,
    /// Why the body is not an event.
    pub irrelevant: Option<Irrelevant>,
}

impl Mapping {
    pub(super) fn decode(&self, envelope: &Envelope, body: &[u8]) -> Result<Decoded, DecodeError> {
        if let Some(reason) = envelope.irrelevant {
            return Ok(Decoded::one(Element::Ignored(reason)));
        }
        let body = whole(body)?;
        let events = match &self.events {
            None => Cow::Borrowed(body),
            Some(events) => events
                .find(body)
                .ok_or_else(|| malformed(format!("{} is missing", events.as_str())))?,
        };
        let events = open(events);
        let mut decoded = Decoded::default();
        for (index, event) in elements(&events)?.into_iter().enumerate() {
            let event = open(Cow::Borrowed(event));
            if let Err(error) = self.event(envelope, &place(index), &event, &mut decoded) {
                decoded.push(Err(error))?;
            }
        }
        Ok(decoded)
    }

    fn event(
        &self,
        envelope: &Envelope,
        place: &str,
        event: &RawValue,
        decoded: &mut Decoded,
    ) -> Result<(), DecodeError> {
        if !is_object(event) {
            return Err(malformed(format!("{place} is not an object")));
        }
        let text = |pointer: &Option<Pointer>, check: Check| {
            let Some(pointer) = pointer else {
                return Ok(None);
            };
            let at = format!("{place}: {}", pointer.as_str());
            let text = scalar(pointer, Some(event)).optional(&at)?;
            text.map(|text| check(text, &at)).transpose()
        };
        let kind = text(&self.kind, checked_type)?.or_else(|| envelope.kind.clone());
        if !allowed(&self.kinds, kind.as_deref()) {
            return decoded.push(Ok(Element::Ignored(Irrelevant::Type)));
        }
        let id = self.id.as_ref().map(|pointer| scalar(pointer, Some(event)));
        let id = id.and_then(usable_id).or_else(|| envelope.id.clone());
        let time = match &self.time {
            Some(pointer) => time(&scalar(pointer, Some(event))),
            None => envelope.time,
        };
        let meaning = self.meaning.read(Some(event), place)?;
        let list = self.each.as_ref().and_then(|each| each.find(event));
        let list = list.map(open);
        for (place, names) in self.members(list.as_deref(), event, place)? {
            let change = meaning.change(&place, || self.names(names, &place));
            decoded.push(change.map(|change| {
                let mut change = change.identified(id.clone());
                if change.id.is_none() {
                    change.origin.event_id.clone_from(&envelope.reference);
                }
                change.origin.kind.clone_from(&kind);
                change.time = time;
                change.into()
            }))?;
        }
        Ok(())
    }

    /// The JSON with the names of each change, and its place for messages. `list`: the value at `each`.
    fn members<'a>(
        &self,
        list: Option<&'a RawValue>,
        event: &'a RawValue,
        place: &str,
    ) -> Result<Vec<(String, &'a RawValue)>, DecodeError> {
        let Some(each) = &self.each else {
            return Ok(vec![(place.to_owned(), event)]);
        };
        let at = format!("{place}: {}", each.as_str());
        match list.map(shape) {
            Some(Shape::Array(members)) => {
                let members = members.into_iter().enumerate();
                Ok(members
                    .map(|(index, member)| (format!("{at}/{index}"), member))
                    .collect())
            }
            Some(_) => Err(malformed(format!("{at} is not an array"))),
            None => Err(malformed(format!("{at} is missing"))),
        }
    }

    /// A scalar is itself a name; an object or array has names at the pointers.
    fn names(&self, json: &RawValue, place: &str) -> Result<Keys, DecodeError> {
        let json = if self.meaning.keys.is_empty() {
            Cow::Borrowed(json)
        } else {
            open(Cow::Borrowed(json))
        };
        if !json.get().starts_with(['{', '[']) {
            return Keys::one(Scalar::of(&json).required(place)?)
                .map_err(|problem| malformed(format!("{place}: {problem}")));
        }
        match &self.meaning.keys[..] {
            [] => Err(malformed(format!(
                "{place} is not a name (setting `mapping.keys`)"
            ))),
            pointers => keys(pointers, &json, place),
        }
    }
}

type Check = fn(String, &str) -> Result<String, DecodeError>;

/// The value of a header, if it is there.
pub(super) fn header(
    headers: &HeaderMap,
    name: &str,
    check: Check,
) -> Result<Option<String>, DecodeError> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(text) => check(text.to_owned(), name).map(Some),
        Err(_) => Err(malformed(format!("{name} is not text"))),
    }
}

/// Whether a type is on the list; an empty list takes every type.
pub(super) fn allowed(kinds: &[String], kind: Option<&str>) -> bool {
    kinds.is_empty() || kind.is_some_and(|kind| kinds.iter().any(|allowed| allowed == kind))
}

/// The time in a field. An unreadable one is no reason to miss a change.
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
    // Of a number with decimals the whole part is enough.
    let whole = text.split_once('.').map_or(text, |(whole, rest)| {
        let decimals = rest.bytes().all(|byte| byte.is_ascii_digit());
        if decimals { whole } else { text }
    });
    match whole.parse::<i64>() {
        Ok(unix) if unix < FIRST_IN_MILLISECONDS => Timestamp::from_second(unix).ok(),
        Ok(unix) => Timestamp::from_millisecond(unix).ok(),
        Err(_) => text.parse().ok(),
    }
}
