//! infisical.

use super::{DecodeError, Decoded, config::Projects, malformed};

pub(super) fn decode(_projects: &Projects, _body: &[u8]) -> Result<Decoded, DecodeError> {
    Err(malformed("unread"))
}
