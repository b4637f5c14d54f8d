//! pulumi_esc.

use http::HeaderMap;

use super::{DecodeError, Decoded, malformed};

pub(super) fn decode(_headers: &HeaderMap, _body: &[u8]) -> Result<Decoded, DecodeError> {
    Err(malformed("unread"))
}
