//! Azure.

use http::HeaderMap;

use super::{Body, DecodeError, malformed};

pub(super) fn decode(_headers: &HeaderMap, _body: &[u8]) -> Result<Body, DecodeError> {
    Err(malformed("unread"))
}
