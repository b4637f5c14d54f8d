//! vault_events.

use super::{DecodeError, Decoded, malformed};

pub(super) fn decode(_body: &[u8]) -> Result<Decoded, DecodeError> {
    Err(malformed("unread"))
}
