//! A request as its sender would prove it: for samples.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use jiff::Timestamp;

use super::Scheme;

/// A request that is not sent yet.
#[derive(Debug, Default)]
pub struct Unsigned {
    pub headers: HeaderMap,
    /// Without the question mark.
    pub query: Option<String>,
    pub body: Vec<u8>,
}

/// Nobody but the provider can prove it; what to do instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsignable(&'static str);

/// A secret that no header can carry.
const NO_TEXT: Unsignable = Unsignable(
    "the secret holds characters that no header can carry, so no sender can send it: choose another",
);

impl Scheme {
    /// Adds what proves the sender, by the first of the secrets that are valid. Signed times are `now`.
    pub fn sign(&self, request: &mut Unsigned, now: Timestamp) -> Result<(), Unsignable> {
        match self {
            Self::None => Ok(()),
            Self::Basic(basic) => {
                let pair = basic
                    .passwords
                    .first(|password| format!("{}:{password}", basic.username));
                request.authorize(&format!("Basic {}", STANDARD.encode(pair)))
            }
            Self::Bearer(bearer) => {
                let value = bearer.tokens.first(|token| format!("Bearer {token}"));
                request.authorize(&value)
            }
            Self::Header(header) => header.sign(request),
            Self::Hmac(hmac) => hmac.sign(request, now),
            Self::Mtls(_) => Err(Unsignable(
                "only who has the client certificate can prove it: send the sample with `curl --cert FILE --key FILE --data-binary @FILE URL`",
            )),
            Self::All(schemes) => schemes
                .iter()
                .try_for_each(|scheme| scheme.sign(request, now)),
            Self::Any(schemes) => {
                let mut signed = Ok(());
                for scheme in schemes {
                    signed = scheme.sign(request, now);
                    if signed.is_ok() {
                        break;
                    }
                }
                signed
            }
        }
    }
}

impl Unsigned {
    fn authorize(&mut self, value: &str) -> Result<(), Unsignable> {
        self.headers.insert(AUTHORIZATION, secret(value)?);
        Ok(())
    }
}

/// A value that is not printed with the others.
pub(super) fn secret(value: &str) -> Result<HeaderValue, Unsignable> {
    let mut value = HeaderValue::from_str(value).map_err(|_| NO_TEXT)?;
    value.set_sensitive(true);
    Ok(value)
}
