//! HMAC-SHA256 over the raw body, as GitHub and many others sign.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName};
use ring::hmac::{HMAC_SHA256, Key, verify};

use super::{Credentials, Encoding, Unauthorized, single};

pub struct Hmac {
    pub(super) secrets: Credentials,
    pub(super) header: HeaderName,
    pub(super) prefix: String,
    pub(super) encoding: Encoding,
}

impl Hmac {
    /// The signature that the headers claim.
    pub(super) fn tag(&self, headers: &HeaderMap) -> Result<Vec<u8>, Unauthorized> {
        let value = single(headers, &self.header).ok_or(Unauthorized)?;
        let text = value.strip_prefix(&self.prefix).ok_or(Unauthorized)?;
        match self.encoding {
            Encoding::Hex => hex(text),
            Encoding::Base64 => STANDARD.decode(text).ok(),
        }
        .ok_or(Unauthorized)
    }

    pub(super) fn signed(&self, body: &[u8], tag: &[u8]) -> bool {
        self.secrets.any(|secret| {
            let key = Key::new(HMAC_SHA256, secret.as_bytes());
            verify(&key, body, tag).is_ok()
        })
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => u8::try_from(nibble(*high)? << 4 | nibble(*low)?).ok(),
            _ => None,
        })
        .collect()
}
