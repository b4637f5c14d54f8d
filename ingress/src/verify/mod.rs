//! Who is asking: headers first, then the raw bytes, both before anything is parsed.
//!
//! ```text
//! headers ──Scheme::admit──▶ Admitted ──(read the body)──▶ Admitted::verify ──▶ Verified
//! ```

mod basic;
mod bearer;
mod config;
mod credentials;
mod hmac;
mod mtls;

use bytes::Bytes;
use http::HeaderMap;
use ring::hmac::{HMAC_SHA256, Key, sign, verify};

pub use self::{
    basic::Basic,
    bearer::Bearer,
    config::{AuthConfig, BasicConfig, BearerConfig, Encoding, HmacConfig},
    credentials::{Credentials, Refresh},
    hmac::Hmac,
    mtls::{Mtls, MtlsConfig},
};

/// How a source proves itself. One file per scheme.
pub enum Scheme {
    Basic(Basic),
    Bearer(Bearer),
    Hmac(Hmac),
}

/// A request whose headers are in order. A signature still has to fit its body.
pub struct Admitted<'a>(Pending<'a>);

enum Pending<'a> {
    Nothing,
    Signature { hmac: &'a Hmac, tag: Vec<u8> },
}

/// The exact bytes of an authenticated request. Only [`Admitted::verify`] makes one.
#[derive(Debug)]
pub struct Verified(Bytes);

/// The request does not prove who sent it. Deliberately without a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("missing or wrong credentials")]
pub struct Unauthorized;

impl Scheme {
    /// Looks at the headers alone, so that a stranger's body is never read.
    pub fn admit(&self, headers: &HeaderMap) -> Result<Admitted<'_>, Unauthorized> {
        let pending = match self {
            Self::Basic(basic) => basic.check(headers).map(|()| Pending::Nothing)?,
            Self::Bearer(bearer) => bearer.check(headers).map(|()| Pending::Nothing)?,
            Self::Hmac(hmac) => Pending::Signature {
                tag: hmac.tag(headers)?,
                hmac,
            },
        };
        Ok(Admitted(pending))
    }

    /// For `WWW-Authenticate` (RFC 9110 §11.6.1); a signature has no registered scheme.
    pub fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Basic(_) => Some("Basic realm=\"eso-relay\", charset=\"UTF-8\""),
            Self::Bearer(_) => Some("Bearer realm=\"eso-relay\""),
            Self::Hmac(_) => None,
        }
    }

    /// The secrets that this scheme compares with, to be refreshed from their files.
    pub fn credentials(&self) -> &Credentials {
        match self {
            Self::Basic(basic) => &basic.passwords,
            Self::Bearer(bearer) => &bearer.tokens,
            Self::Hmac(hmac) => &hmac.secrets,
        }
    }
}

impl Admitted<'_> {
    pub fn verify(self, body: Bytes) -> Result<Verified, Unauthorized> {
        match self.0 {
            Pending::Nothing => Ok(Verified(body)),
            Pending::Signature { hmac, tag } if hmac.signed(&body, &tag) => Ok(Verified(body)),
            Pending::Signature { .. } => Err(Unauthorized),
        }
    }
}

impl Verified {
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Compares tags of both, so that the time taken tells neither where they differ nor their lengths.
fn equal(presented: &[u8], expected: &[u8]) -> bool {
    let key = Key::new(HMAC_SHA256, b"compare");
    verify(&key, expected, sign(&key, presented).as_ref()).is_ok()
}

/// The single value of a header; a repeated one proves nothing.
fn single(headers: &HeaderMap, name: impl http::header::AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok())?
}

/// What follows `scheme` in the Authorization header; scheme names have no case (RFC 9110 §11.1).
fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Result<&'a str, Unauthorized> {
    let value = single(headers, http::header::AUTHORIZATION).ok_or(Unauthorized)?;
    let (name, rest) = value.split_once(' ').ok_or(Unauthorized)?;
    if name.eq_ignore_ascii_case(scheme) {
        Ok(rest.trim())
    } else {
        Err(Unauthorized)
    }
}

#[cfg(test)]
mod tests;
