//! gcp_pubsub.

use http::HeaderMap;

use super::{DecodeError, Decoded, config::Projects, malformed};

pub(super) fn decode(
    _projects: &Projects,
    _headers: &HeaderMap,
    _body: &[u8],
) -> Result<Decoded, DecodeError> {
    Err(malformed("unread"))
}
