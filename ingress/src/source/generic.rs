//! Any JSON: the configuration points to the keys, the id, the type and the time.

use std::{borrow::Cow, fmt::Display};

use eso_relay::event::Keys;
use http::HeaderMap;
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::{
    DecodeError, Decoded, Element, Irrelevant, Pointer, checked_type,
    json::{Place, Scalar, Shape, elements, is_object, shape, whole},
    malformed,
    meaning::{Meaning, keys, scalar},
    pointer::{Document, open},
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
            if let Err(error) = self.event(envelope, &Place(index), &event, &mut decoded) {
                decoded.push(Err(error))?;
            }
        }
        Ok(decoded)
    }

    fn event(
        &self,
        envelope: &Envelope,
        place: &dyn Display,
        event: &RawValue,
        decoded: &mut Decoded,
    ) -> Result<(), DecodeError> {
        if !is_object(event) {
            return Err(malformed(format!("{place} is not an object")));
        }
        let document = &Document::of(event);
        let kind = match &self.kind {
            Some(pointer) => {
                let at = format_args!("{place}: {}", pointer.as_str());
                let kind = scalar(pointer, Some(document)).optional(at)?;
                kind.map(|kind| checked_type(kind, at)).transpose()?
            }
            None => None,
        };
        let kind = kind.or_else(|| envelope.kind.clone());
        if !allowed(&self.kinds, kind.as_deref()) {
            return decoded.push(Ok(Element::Ignored(Irrelevant::Type)));
        }
        let id = self.id.as_ref();
        let id = id.and_then(|pointer| usable_id(scalar(pointer, Some(document))));
        let id = id.or_else(|| envelope.id.clone());
        let time = match &self.time {
            Some(pointer) => time(&scalar(pointer, Some(document))),
            None => envelope.time,
        };
        let meaning = self.meaning.read(Some(document), place)?;
        let mut push = |place: &dyn Display, named: &Document<'_>| {
            let change = meaning.change(place, || self.names(named, place));
            decoded.push(change.map(|change| {
                let mut change = change.identified(id.clone());
                if change.id.is_none() {
                    change.origin.event_id.clone_from(&envelope.reference);
                }
                change.origin.kind.clone_from(&kind);
                change.time = time;
                change.into()
            }))
        };
        let Some(each) = &self.each else {
            return push(place, document);
        };
        let at = format_args!("{place}: {}", each.as_str());
        let Some(list) = each.find_in(document).map(open) else {
            return Err(malformed(format!("{at} is missing")));
        };
        let Shape::Array(members) = shape(&list) else {
            return Err(malformed(format!("{at} is not an array")));
        };
        for (index, member) in members.into_iter().enumerate() {
            let member = Cow::Borrowed(member);
            // Without `keys` a text is a name, whatever it looks like.
            let member = match &self.meaning.keys[..] {
                [] => member,
                _ => open(member),
            };
            push(&format_args!("{at}/{index}"), &Document::of(&member))?;
        }
        Ok(())
    }

    /// A scalar is itself a name; an object or array has names at the pointers.
    fn names(&self, document: &Document<'_>, place: &dyn Display) -> Result<Keys, DecodeError> {
        let json = document.json();
        if !json.get().starts_with(['{', '[']) {
            return Keys::one(Scalar::of(json).required(place)?)
                .map_err(|problem| malformed(format!("{place}: {problem}")));
        }
        match &self.meaning.keys[..] {
            [] => Err(malformed(format!(
                "{place} is not a name (setting `mapping.keys`)"
            ))),
            pointers => keys(pointers, document, place),
        }
    }
}

/// The value of a header, if it is there.
pub(super) fn header(
    headers: &HeaderMap,
    name: &'static str,
    check: fn(String, &'static str) -> Result<String, DecodeError>,
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
