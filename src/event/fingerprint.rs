//! The value that marks an object as refreshed for an event.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;
use ring::digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::Slug;

/// Ten bytes of SHA-256 over source and event id, as 20 hexadecimal digits.
///
/// It derives from the event and never from a clock: patching it twice is a no-op, and two
/// different events do not collide. It is short because ESO copies the annotations of an
/// ExternalSecret without a template to the Secret (ESO `externalsecret_controller_template.go`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 10]);

impl Fingerprint {
    pub(super) fn of(source: &Slug, id: &str) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(source.as_str().as_bytes());
        // A slug holds no NUL, so source and id cannot run into each other.
        context.update(&[0]);
        context.update(id.as_bytes());
        let mut short = [0; 10];
        short.copy_from_slice(&context.finish().as_ref()[..10]);
        Self(short)
    }
}

/// The text is not a [`Fingerprint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint of 20 hexadecimal digits")]
pub struct InvalidFingerprint;

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let bytes = HEXLOWER.decode(text.as_bytes());
        let bytes = bytes.map_err(|_| InvalidFingerprint)?.try_into();
        bytes.map(Self).map_err(|_| InvalidFingerprint)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
