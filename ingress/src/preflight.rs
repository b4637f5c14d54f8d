//! `OPTIONS /v1/hooks/{source}`: a sender asks whether its events are wanted, and is told so.
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md#4-abuse-protection>
//!
//! The question has to prove itself like an event. Senders that ask otherwise, or not at all, are
//! answered 405, as if there were no such method.

use axum::{
    http::{HeaderName, HeaderValue, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use jiff::Timestamp;

use crate::{error::Error, source::Source, verify};

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// The answer that permits the origin to send at any rate. A callback that the request may name is
/// left alone: this answer says all, and no address out of a request is ever called.
///
/// # Errors
/// [`Error::Method`], [`Error::Origin`], or what the source's authentication says. A signature of
/// the body is one of the empty body; the body itself is not read.
pub(crate) async fn permission(
    source: &Source,
    head: &Parts,
    now: Timestamp,
) -> Result<Response, Error> {
    let origins = source.origins().ok_or(Error::Method)?;
    let presented = verify::Request::of(head, now);
    let refused = |refused| Error::refused(&source.scheme, refused);
    let admitted = source.scheme.admit(&presented).await.map_err(refused)?;
    admitted.verify(Bytes::new()).await.map_err(refused)?;
    let mut asking = head.headers.get_all(REQUEST_ORIGIN).iter();
    let (Some(origin), None) = (asking.next(), asking.next()) else {
        return Err(Error::Origin);
    };
    if !origins.allow(origin) {
        return Err(Error::Origin);
    }
    let permission = [
        (header::ALLOW, HeaderValue::from_static("POST")),
        (ALLOWED_ORIGIN, origin.clone()),
        (ALLOWED_RATE, HeaderValue::from_static("*")),
    ];
    Ok(permission.into_response())
}
