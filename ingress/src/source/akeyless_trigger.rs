//! The payload of akeyless-eso-webhook-trigger: an array of events or a single one.
//!
//! Every type counts and every delivery is new, as in akeyless-eso-webhook-trigger: calls by hand repeat an
//! `event_id`.

use eso_relay::event::{Keys, Origin};
use serde::Deserialize;

use super::{
    Change, DecodeError, Decoded, checked_type,
    json::{Scalar, elements, fields, place, whole},
    malformed, usable_id,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Element {
    event_id: Scalar,
    event_type: Scalar,
    item_name: Scalar,
}

pub(super) fn decode(body: &[u8]) -> Result<Decoded, DecodeError> {
    Decoded::each(elements(whole(body)?)?, |index, element| {
        let place = place(index);
        let at = |field: &str| format!("{place}: {field}");
        let element: Element = fields(element, &place)?;
        let keys = Keys::one(element.item_name.required(at("item_name"))?)
            .map_err(|problem| malformed(at(&format!("item_name: {problem}"))))?;
        let kind = element.event_type.optional(at("event_type"))?;
        let origin = Origin {
            event_id: usable_id(element.event_id),
            kind: kind
                .map(|kind| checked_type(kind, at("event_type")))
                .transpose()?,
            ..Origin::default()
        };
        Ok(Change {
            origin,
            ..Change::of(keys)
        }
        .into())
    })
}
