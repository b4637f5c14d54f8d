//! HMAC-SHA256 over the raw body, as GitHub and many others sign.

mod sign;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use eso_relay::config::{ConfigError, SecretFiles};
use http::HeaderName;
use ring::hmac::{HMAC_SHA256, Key, verify};
use serde::{Deserialize, Serialize};

use super::{Credentials, Request, Unauthorized, single};

pub struct Hmac {
    pub(super) secrets: Credentials,
    pub(super) header: HeaderName,
    pub(super) prefix: String,
    pub(super) encoding: Encoding,
}

/// The signature that a request claims to have.
pub(super) struct Claim<'a> {
    hmac: &'a Hmac,
    tag: Vec<u8>,
}

/// HMAC-SHA256 over the raw body, in a header.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HmacConfig {
    /// One file or several; a signature by the secret of each is valid.
    pub secret_file: SecretFiles,
    /// The header of the signature, such as `X-Hub-Signature-256`.
    pub header: String,
    /// What stands before the signature, such as `sha256=`. Default: nothing.
    #[serde(default)]
    pub prefix: String,
    /// Default `hex`.
    #[serde(default)]
    pub encoding: Encoding,
}

/// How the signature is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    #[default]
    Hex,
    /// Standard alphabet, padded (RFC 4648 §4).
    Base64,
}

impl HmacConfig {
    pub fn open(&self) -> Result<Hmac, ConfigError> {
        let header = self.header.parse().map_err(|_| {
            ConfigError::Invalid(
                "auth.hmac-sha256.header is not the name of a header: set one such as X-Hub-Signature-256".to_owned(),
            )
        })?;
        Ok(Hmac {
            secrets: Credentials::open(&self.secret_file)?,
            header,
            prefix: self.prefix.clone(),
            encoding: self.encoding,
        })
    }
}

impl Hmac {
    /// The signature that the headers claim.
    pub(super) fn claim(&self, request: &Request<'_>) -> Result<Claim<'_>, Unauthorized> {
        let value = single(request.headers, &self.header).ok_or(Unauthorized)?;
        let text = value.strip_prefix(&self.prefix).ok_or(Unauthorized)?;
        let tag = match self.encoding {
            Encoding::Hex => hex(text),
            Encoding::Base64 => STANDARD.decode(text).ok(),
        };
        Ok(Claim {
            hmac: self,
            tag: tag.ok_or(Unauthorized)?,
        })
    }

    pub(super) fn signed(&self, body: &[u8], tag: &[u8]) -> bool {
        self.secrets.any(|secret| {
            let key = Key::new(HMAC_SHA256, secret.as_bytes());
            verify(&key, body, tag).is_ok()
        })
    }
}

impl Claim<'_> {
    pub(super) fn check(&self, body: &[u8]) -> Result<(), Unauthorized> {
        if self.hmac.signed(body, &self.tag) {
            Ok(())
        } else {
            Err(Unauthorized)
        }
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
