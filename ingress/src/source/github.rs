//! GitHub's webhooks: <https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers>.
//!
//! Headers tell the id and the type; `mapping` tells which secret an event is about.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

use super::{
    DecodeError, Irrelevant, checked_type,
    generic::{Envelope, header},
    json::Scalar,
    malformed, usable_id,
};

/// The JSON of a body. A webhook that keeps GitHub's default content type sends it in a form's `payload`.
pub(super) fn json<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<Cow<'a, [u8]>, DecodeError> {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !content_type.is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded")) {
        return Ok(body.into());
    }
    let mut fields = form_urlencoded::parse(body);
    let payload = fields.find(|(name, _)| name == "payload");
    let (_, payload) = payload.ok_or_else(|| malformed("the form has no field `payload`"))?;
    Ok(payload.into_owned().into_bytes().into())
}

pub(super) fn envelope(headers: &HeaderMap) -> Result<Envelope, DecodeError> {
    let kind = header(headers, "X-GitHub-Event", checked_type)?;
    Ok(Envelope {
        // The same after *Redeliver*.
        id: usable_id(Scalar::of_header(headers, "X-GitHub-Delivery")),
        // Sent when a webhook is created.
        irrelevant: (kind.as_deref() == Some("ping")).then_some(Irrelevant::Test),
        kind,
        ..Envelope::default()
    })
}
