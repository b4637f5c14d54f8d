//! As the sender does it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use jiff::Timestamp;
use ring::hmac;

use super::{Key, StandardWebhooks};
use crate::verify::{Unsignable, Unsigned, sign};

/// Of a sample that has none.
const ID: HeaderValue = HeaderValue::from_static("msg_sample");

impl StandardWebhooks {
    pub(in crate::verify) fn sign(
        &self,
        request: &mut Unsigned,
        now: Timestamp,
    ) -> Result<(), Unsignable> {
        let time = now.as_second();
        let id = request.headers.entry("webhook-id").or_insert(ID);
        let head = [id.as_bytes(), format!(".{time}.").as_bytes()].concat();
        let message = [&head, request.body.as_slice()].concat();
        let tag = self.secrets.first(|secret| match Key::read(secret) {
            Some(Key::Hmac(key)) => Ok(hmac::sign(&key, &message)),
            _ => Err(sign::PUBLIC),
        })?;
        let signature = sign::secret(&format!("v1,{}", STANDARD.encode(tag)))?;
        request.headers.insert("webhook-timestamp", time.into());
        request.headers.insert("webhook-signature", signature);
        Ok(())
    }
}
