//! Standard Webhooks:
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
//!
//! A header tells the id; the body its type and time, if it follows the specification's advice.

use http::HeaderMap;
use serde::Deserialize;

use super::{
    DecodeError, checked_type,
    generic::{Envelope, timestamp},
    json::{Scalar, fields, whole},
    usable_id,
};
use crate::verify::standard_webhooks_prefix;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(rename = "type")]
    kind: Scalar,
    timestamp: Scalar,
}

pub(super) fn envelope(headers: &HeaderMap, body: &[u8]) -> Result<Envelope, DecodeError> {
    // Both are advice only: another shape is no error.
    let body: Body = fields(whole(body)?, "the body").unwrap_or_default();
    let text = |scalar: Scalar| match scalar {
        Scalar::Text(text) => Some(text),
        Scalar::Missing | Scalar::Other => None,
    };
    let id = format!("{}-id", standard_webhooks_prefix(headers));
    Ok(Envelope {
        id: usable_id(Scalar::of_header(headers, &id)),
        kind: text(body.kind)
            .map(|kind| checked_type(kind, "type"))
            .transpose()?,
        time: text(body.timestamp).and_then(|time| timestamp(&time)),
        ..Envelope::default()
    })
}
