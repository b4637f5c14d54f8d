//! The public keys of an issuer: a JSON Web Key Set (RFC 7517 §5).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

use super::Wrong;

/// The most keys to try for a token without a `kid`.
const TRIED: usize = 16;
/// Bytes of the modulus: 2048 bits at least (RFC 7518 §3.3), 8192 at most (ring).
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// Signatures by a private key only: `none` proves nothing, and `HS256` would take a public key
/// for a shared secret (RFC 8725 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Algorithm {
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "ES256")]
    Es256,
}

/// At least one key that can verify tokens.
#[derive(Debug, PartialEq, Eq)]
pub struct Keys(Vec<Key>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it holds no key for RS256 or ES256 (JSON Web Key Set)")]
pub struct NoKeys;

#[derive(Debug, PartialEq, Eq)]
struct Key {
    id: Option<String>,
    public: Public,
}

#[derive(Debug, PartialEq, Eq)]
enum Public {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Uncompressed: 4, x, y.
    P256(Vec<u8>),
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    #[serde(flatten)]
    material: Material,
}

/// By their types in RFC 7518 §6.1. A shared secret (`oct`) is none.
#[derive(Deserialize)]
#[serde(tag = "kty")]
enum Material {
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
    #[serde(rename = "EC")]
    Elliptic { crv: String, x: String, y: String },
}

impl Keys {
    /// Skips keys that are unknown or not for these signatures (RFC 7517 §5).
    pub fn parse(jwks: &[u8]) -> Result<Self, NoKeys> {
        let set: Set = serde_json::from_slice(jwks).map_err(|_| NoKeys)?;
        let keys: Vec<_> = set.keys.into_iter().filter_map(key).collect();
        if keys.is_empty() {
            return Err(NoKeys);
        }
        Ok(Self(keys))
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The token's algorithm has to fit the type of the key: the token does not choose how a key
    /// is used (RFC 8725 §3.1).
    pub(super) fn verify(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), Wrong> {
        let named = |key: &&Key| id.is_none() || key.id.as_deref() == id;
        let mut fitting = self
            .0
            .iter()
            .filter(named)
            .filter(|key| key.public.algorithm() == algorithm)
            .take(TRIED);
        if fitting.any(|key| key.public.verify(signed, signature)) {
            Ok(())
        } else if id.is_some() && self.0.iter().any(|key| named(&key)) {
            Err(Wrong::Token)
        } else {
            Err(Wrong::Key)
        }
    }
}

impl Public {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
        }
    }

    fn verify(&self, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
                .is_ok(),
            Self::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(signed, signature)
                .is_ok(),
        }
    }
}

fn key(jwk: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(jwk).ok()?;
    let (public, algorithm) = match jwk.material {
        Material::Rsa { n, e } => {
            let (n, e) = (integer(&n)?, integer(&e)?);
            (
                MODULUS.contains(&n.len()).then_some(Public::Rsa { n, e })?,
                "RS256",
            )
        }
        Material::Elliptic { crv, x, y } => {
            // Of full size each (RFC 7518 §6.2.1.2).
            let point = [vec![4], coordinate(&x)?, coordinate(&y)?].concat();
            ((crv == "P-256").then_some(Public::P256(point))?, "ES256")
        }
    };
    let to_verify = jwk.purpose.is_none_or(|purpose| purpose == "sig")
        && jwk
            .key_ops
            .is_none_or(|ops| ops.iter().any(|op| op == "verify"))
        && jwk.alg.is_none_or(|alg| alg == algorithm);
    to_verify.then_some(Key {
        id: jwk.kid,
        public,
    })
}

fn coordinate(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    (bytes.len() == 32).then_some(bytes)
}

/// Without the leading zeros that some issuers write, and that ring refuses.
fn integer(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

#[cfg(test)]
mod tests;
