//! The payload of the seed's `/webhook`: an array of events or a single one.
//!
//! Every type counts and every delivery is new: whoever calls it by hand uses the same `event_id`
//! again, and the seed refreshed each time.

use std::collections::BTreeMap;

use eso_relay::event::{Keys, Kind, Match, Operation, Origin};
use serde::Deserialize;

use super::{
    Change, DecodeError, Decoded, checked_id, checked_type,
    json::{Scalar, elements, fields, place, whole},
    malformed,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Element {
    event_id: Scalar,
    event_type: Scalar,
    item_name: Scalar,
}

pub(super) fn decode(body: &[u8]) -> Result<Decoded, DecodeError> {
    let elements = elements(whole(body)?)?;
    let changes = elements.iter().enumerate().map(|(index, element)| {
        let place = place(index);
        let at = |field: &str| format!("{place}: {field}");
        let element: Element = fields(element, &place)?;
        let keys = Keys::one(element.item_name.required(&at("item_name"))?)
            .map_err(|problem| malformed(at(&format!("item_name: {problem}"))))?;
        let id = element.event_id.optional(&at("event_id"))?;
        let kind = element.event_type.optional(&at("event_type"))?;
        Ok(Change {
            index,
            id: None,
            origin: Origin {
                event_id: id.map(|id| checked_id(id, &at("event_id"))).transpose()?,
                kind: kind
                    .map(|kind| checked_type(kind, &at("event_type")))
                    .transpose()?,
            },
            kind: Kind::SecretChanged,
            operation: Operation::Unknown,
            matches: Match::Exact(keys),
            provider: None,
            time: None,
            version: None,
            scope: BTreeMap::new(),
        })
    });
    Ok(Decoded {
        elements: elements.len(),
        changes: changes.collect::<Result<_, DecodeError>>()?,
    })
}
