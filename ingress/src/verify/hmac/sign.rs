//! As the sender does it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use ring::hmac::{self, HMAC_SHA256, Key};

use super::{Encoding, Hmac};
use crate::verify::{Unsignable, Unsigned, sign};

impl Hmac {
    pub(in crate::verify) fn sign(
        &self,
        request: &mut Unsigned,
        _now: Timestamp,
    ) -> Result<(), Unsignable> {
        let tag = self.secrets.first(|secret| {
            let key = Key::new(HMAC_SHA256, secret.as_bytes());
            hmac::sign(&key, &request.body)
        });
        let tag = match self.encoding {
            Encoding::Hex => hex(tag.as_ref()),
            Encoding::Base64 => STANDARD.encode(tag),
        };
        let value = sign::secret(&format!("{}{tag}", self.prefix))?;
        request.headers.insert(&self.header, value);
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    let digits = bytes
        .iter()
        .map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.flatten().collect()
}
