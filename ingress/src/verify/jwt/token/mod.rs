//! A compact JWS (RFC 7515 §3.1) whose payload is a JSON object.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

use super::{
    Wrong,
    keys::{Algorithm, Keys},
};

/// Bytes; those of real issuers take about one thousand.
const LARGEST: usize = 16 * 1024;

/// A well-formed token whose signature is not checked yet.
pub struct Token<'a> {
    header: Header,
    /// Header and payload, as they were signed.
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

/// The issuer's claims. Only [`Token::claims`] makes them, after it has checked the signature.
#[derive(Debug)]
pub struct Claims(Map<String, Value>);

/// Keys that the token brings along or points to (`jwk`, `jku`, `x5c`, …) are not looked at.
#[derive(Deserialize)]
struct Header {
    alg: Algorithm,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that have to be understood; we understand none (RFC 7515 §4.1.11).
    #[serde(default)]
    #[expect(dead_code, reason = "a header that has it is refused")]
    crit: Absent,
}

#[derive(Default)]
struct Absent;

impl<'a> Token<'a> {
    pub fn parse(text: &'a str) -> Result<Self, Wrong> {
        if text.len() > LARGEST {
            return Err(Wrong::Token);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Wrong::Token)?;
        let (header, payload) = signed.split_once('.').ok_or(Wrong::Token)?;
        let header = serde_json::from_slice(&decoded(header)?).map_err(|_| Wrong::Token)?;
        Ok(Self {
            header,
            signed,
            payload,
            signature: decoded(signature)?,
        })
    }

    /// The payload, if one of `keys` has signed it.
    pub fn claims(&self, keys: &Keys) -> Result<Claims, Wrong> {
        keys.verify(
            self.header.kid.as_deref(),
            self.header.alg,
            self.signed.as_bytes(),
            &self.signature,
        )?;
        let claims = serde_json::from_slice(&decoded(self.payload)?);
        claims.map(Claims).map_err(|_| Wrong::Token)
    }
}

impl Claims {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

/// Strictly: no padding, no line breaks, and one text only for the same bytes.
fn decoded(text: &str) -> Result<Vec<u8>, Wrong> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Wrong::Token)
}

impl<'de> Deserialize<'de> for Absent {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("this is not allowed"))
    }
}

#[cfg(test)]
mod tests;
