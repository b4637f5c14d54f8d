//! As the sender does it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use ring::hmac::{self, Key};
use serde_json::{Map, Value};

use super::{Encoding, Hmac};
use crate::verify::{Unsignable, Unsigned, sign};

impl Hmac {
    pub(in crate::verify) fn sign(
        &self,
        request: &mut Unsigned,
        now: Timestamp,
    ) -> Result<(), Unsignable> {
        let form = &self.form;
        let mut value = String::new();
        if form.timed.is_some() {
            let time = now.as_millisecond();
            value = format!("t={time};");
            request.body = sent(time, &request.body)?;
        }
        let tag = self.secrets.first(|secret| {
            let key = Key::new(form.algorithm.ring(), secret.as_bytes());
            hmac::sign(&key, &request.body)
        });
        value.push_str(&form.prefix);
        value.push_str(&match form.encoding {
            Encoding::Hex => hex(tag.as_ref()),
            Encoding::Base64 => STANDARD.encode(tag),
        });
        request.headers.insert(&form.header, sign::secret(&value)?);
        Ok(())
    }
}

/// The body with the time at which it was sent; the signature counts only if both tell the same.
fn sent(time: i64, body: &[u8]) -> Result<Vec<u8>, Unsignable> {
    let body: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
    let mut body = body.ok_or(sign::NO_TIME)?;
    body.insert("timestamp".to_owned(), time.into());
    Ok(Value::Object(body).to_string().into_bytes())
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    let digits = bytes
        .iter()
        .map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.flatten().collect()
}
