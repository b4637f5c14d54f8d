//! `OPTIONS /v1/hooks/{source}`: a sender asks whether it may send events.
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md#4-abuse-protection>
//!
//! The request is authenticated like an event. For formats without this handshake the answer is 405.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;

use crate::{
    answer::{Response, empty},
    error::Error,
    head::Head,
    source::Source,
    verify,
};

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// The answer that permits the origin to send at any rate. A callback in the request is ignored: this answer
/// grants the permission at once, and the ingress never calls an address from a request.
///
/// # Errors
/// [`Error::Method`], [`Error::Origin`], or an error of authentication. A signature is checked against the
/// empty body; the body is not read.
pub(crate) async fn permission(
    source: &Source,
    head: Head<'_>,
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
    let mut permission = empty(StatusCode::OK);
    permission.headers_mut().extend([
        (header::ALLOW, HeaderValue::from_static("POST")),
        (ALLOWED_ORIGIN, origin.clone()),
        (ALLOWED_RATE, HeaderValue::from_static("*")),
    ]);
    Ok(permission)
}
