//! Bearer tokens: <https://www.rfc-editor.org/rfc/rfc6750#section-2.1>.

use http::HeaderMap;

use super::{Credentials, Unauthorized, authorization, equal};

pub struct Bearer {
    pub(super) tokens: Credentials,
}

impl Bearer {
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Unauthorized> {
        let presented = authorization(headers, "Bearer")?.as_bytes();
        if self
            .tokens
            .any(|secret| equal(presented, secret.as_bytes()))
        {
            Ok(())
        } else {
            Err(Unauthorized)
        }
    }
}
