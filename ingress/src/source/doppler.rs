//! Doppler.

use super::{DecodeError, Decoded, malformed};

/// What the webhook is set to send.
pub(super) enum Payload {
    /// Doppler's own.
    Default,
    /// Whatever the operator wrote there; the place stands in the configuration.
    Custom,
}

impl Payload {
    pub(super) fn decode(&self, _body: &[u8]) -> Result<Decoded, DecodeError> {
        match self {
            Self::Default => Err(malformed("unread")),
            Self::Custom => Err(malformed("unread")),
        }
    }
}
