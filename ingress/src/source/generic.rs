//! Any JSON: the configuration says where the keys, the id, the type and the time stand.

use std::collections::BTreeMap;

use eso_relay::event::{Keys, Kind, Match, Operation, Origin};
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::{
    Change, DecodeError, Decoded, Pointer, checked_id, checked_type,
    json::{Scalar, Shape, elements, place, shape, whole},
    malformed,
};

/// Where things stand in a body.
pub(super) struct Mapping {
    /// The event or the array of events; the whole body by default.
    pub events: Option<Pointer>,
    /// Aliases of one secret. Without any, an event means all of `scope`.
    pub keys: Vec<Pointer>,
    pub id: Option<Pointer>,
    pub kind: Option<Pointer>,
    /// Which types count. Empty: all.
    pub kinds: Vec<String>,
    pub time: Option<Pointer>,
    pub scope: BTreeMap<String, String>,
}

impl Mapping {
    pub(super) fn decode(&self, body: &[u8]) -> Result<Decoded, DecodeError> {
        let body = whole(body)?;
        let events = match &self.events {
            None => body,
            Some(events) => events
                .find(body)
                .ok_or_else(|| malformed(format!("{} is missing", events.as_str())))?,
        };
        let elements = elements(events)?;
        let changes = elements.iter().enumerate();
        Ok(Decoded {
            elements: elements.len(),
            changes: changes
                .filter_map(|(index, element)| self.change(index, element).transpose())
                .collect::<Result<_, DecodeError>>()?,
        })
    }

    fn change(&self, index: usize, element: &RawValue) -> Result<Option<Change>, DecodeError> {
        let place = place(index);
        let Shape::Object(_) = shape(element) else {
            return Err(malformed(format!("{place} is not an object")));
        };
        let text = |pointer: &Option<Pointer>| match pointer {
            None => Ok(None),
            Some(pointer) => {
                let at = format!("{place}: {}", pointer.as_str());
                scalar(pointer, element).optional(&at)
            }
        };
        let at = |pointer: &Option<Pointer>| {
            format!("{place}: {}", pointer.as_ref().map_or("", Pointer::as_str))
        };
        let kind = text(&self.kind)?
            .map(|kind| checked_type(kind, &at(&self.kind)))
            .transpose()?;
        if !allowed(&self.kinds, kind.as_deref()) {
            return Ok(None);
        }
        let id = text(&self.id)?
            .map(|id| checked_id(id, &at(&self.id)))
            .transpose()?;
        // A time that cannot be read is no reason to miss a change.
        let time = self
            .time
            .as_ref()
            .and_then(|time| match scalar(time, element) {
                Scalar::Text(text) => timestamp(&text),
                Scalar::Missing | Scalar::Other => None,
            });
        let (kind_of_event, matches) = if self.keys.is_empty() {
            (Kind::ScopeChanged, Match::Scope)
        } else {
            (
                Kind::SecretChanged,
                Match::Exact(keys(&self.keys, element, &place)?),
            )
        };
        Ok(Some(Change {
            index,
            origin: Origin {
                event_id: id.clone(),
                kind,
            },
            id,
            kind: kind_of_event,
            operation: Operation::Unknown,
            matches,
            provider: None,
            time,
            version: None,
            scope: self.scope.clone(),
        }))
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
