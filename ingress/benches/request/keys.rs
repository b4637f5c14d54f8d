//! Keys that sign as issuers of tokens and Amazon SNS do, and ring's own check of what they signed.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, PublicKeyComponents},
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
    },
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Value, json};

/// A key of the tests, of 2048 bits, as issuers and SNS have them. In PEM.
pub(crate) const RSA: &str = include_str!("../../src/verify/sns/fixtures/test-key.pem");
/// The claims `iss` and `aud` of tokens.
pub(crate) const ISSUER: &str = "https://accounts.issuer.example";
pub(crate) const AUDIENCE: &str = "https://relay.example/v1/hooks/load";

/// A key pair.
pub(crate) enum Key {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
}

/// The public half, as ring takes it.
pub(crate) enum Public {
    Rsa(PublicKeyComponents<Vec<u8>>),
    P256(UnparsedPublicKey<Vec<u8>>),
}

impl Key {
    /// The same at every call.
    pub(crate) fn rsa() -> anyhow::Result<Self> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(RSA.as_bytes()).map_err(refused)?;
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der());
        Ok(Self::Rsa(Box::new(pair.map_err(refused)?)))
    }

    /// Another one at every call.
    pub(crate) fn p256() -> anyhow::Result<Self> {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(refused)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref(), &random);
        Ok(Self::P256(Box::new(pair.map_err(refused)?)))
    }

    pub(crate) fn public(&self) -> Public {
        match self {
            Self::Rsa(pair) => Public::Rsa(pair.public().into()),
            Self::P256(pair) => {
                let point = pair.public_key().as_ref().to_vec();
                Public::P256(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point))
            }
        }
    }

    pub(crate) fn sign(&self, text: &[u8]) -> anyhow::Result<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature)
                    .map_err(refused)?;
                Ok(signature)
            }
            Self::P256(pair) => {
                let signature = pair.sign(&random, text).map_err(refused)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }

    /// A JSON Web Key Set (RFC 7517) with this key.
    pub(crate) fn jwks(&self) -> Value {
        let mut key = match self.public() {
            Public::Rsa(PublicKeyComponents { n, e }) => {
                json!({ "kty": "RSA", "n": text(n), "e": text(e) })
            }
            Public::P256(point) => {
                let point: &[u8] = point.as_ref();
                // Behind the byte that says that it is uncompressed.
                let (x, y) = point[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y) })
            }
        };
        key["kid"] = json!("load");
        key["use"] = json!("sig");
        json!({ "keys": [key] })
    }

    /// A token with the claims that Pub/Sub sends, valid for an hour (both in Unix time).
    pub(crate) fn token(&self, now: i64) -> anyhow::Result<String> {
        let algorithm = match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
        };
        let header = json!({ "alg": algorithm, "kid": "load", "typ": "JWT" });
        let claims = json!({
            "iss": ISSUER,
            "aud": AUDIENCE,
            "azp": "113774264463038321964",
            "sub": "113774264463038321964",
            "email": "eso-relay-push@my-project.iam.gserviceaccount.com",
            "email_verified": true,
            "iat": now,
            "exp": now + 3600,
        });
        let signed = format!("{}.{}", text(header.to_string()), text(claims.to_string()));
        let signature = self.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", text(signature)))
    }
}

impl Public {
    /// The bare operation.
    pub(crate) fn check(&self, text: &[u8], signature: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Rsa(PublicKeyComponents { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, text, signature)
            }
            Self::P256(key) => key.verify(text, signature),
        }
        .map_err(refused)
    }
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn refused(error: impl fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("a key of the bench: {error}")
}
