//! HTTP Basic: <https://www.rfc-editor.org/rfc/rfc7617>.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;

use super::{Credentials, Fit, Unauthorized, authorization, equal};

pub struct Basic {
    pub(super) username: String,
    pub(super) passwords: Credentials,
}

impl Basic {
    /// `username` holds no colon: that is where the password begins.
    pub fn new(username: String, passwords: Credentials) -> Self {
        Self {
            username,
            passwords,
        }
    }

    pub(super) fn check(&self, headers: &HeaderMap) -> Result<Fit<'_>, Unauthorized> {
        let presented = STANDARD
            .decode(authorization(headers, "Basic")?)
            .map_err(|_| Unauthorized)?;
        let colon = presented
            .iter()
            .position(|byte| *byte == b':')
            .ok_or(Unauthorized)?;
        let (username, password) = (&presented[..colon], &presented[colon + 1..]);
        // Both are always compared: the time taken does not tell which one was wrong.
        let known = equal(username, self.username.as_bytes());
        let right = self
            .passwords
            .fit(|secret| equal(password, secret.as_bytes()));
        right.filter(|_| known).ok_or(Unauthorized)
    }
}
