//! gitlab.

use http::HeaderMap;

use super::{DecodeError, generic::Envelope};

pub(super) fn envelope(_headers: &HeaderMap) -> Result<Envelope, DecodeError> {
    Ok(Envelope::default())
}
