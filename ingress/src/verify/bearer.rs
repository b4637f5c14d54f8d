//! Bearer tokens: <https://www.rfc-editor.org/rfc/rfc6750#section-2.1>.

use http::HeaderMap;

use super::{Credentials, Fit, Unauthorized, authorization, equal};

pub struct Bearer {
    pub(super) tokens: Credentials,
}

impl Bearer {
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<Fit<'_>, Unauthorized> {
        let presented = authorization(headers, "Bearer")?.as_bytes();
        let right = |secret: &str| equal(presented, secret.as_bytes());
        self.tokens.fit(right).ok_or(Unauthorized)
    }
}
