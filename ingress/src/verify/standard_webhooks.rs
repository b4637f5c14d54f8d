//! Standard Webhooks, which Svix and others send: the id, the time and the raw body are signed.
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use eso_relay::config::{ConfigError, SecretFiles, duration};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use ring::{
    hmac::{self, HMAC_SHA256},
    signature::{ED25519, UnparsedPublicKey},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Credentials, Fit, Request, TOLERANCE, Unauthorized, Unsignable, Unsigned, recent, sign, single,
};

/// The most signatures to try: an unauthenticated sender must not cause a hash of the body for each.
const MAX_SIGNATURES: usize = 8;
/// The least of the specification, 192 bits.
const MIN_SECRET_BYTES: usize = 24;
const PUBLIC_KEY_BYTES: usize = 32;
/// The id of a sample that has none.
const SAMPLE_ID: HeaderValue = HeaderValue::from_static("msg_sample");

pub struct StandardWebhooks {
    pub(super) secrets: Credentials,
    tolerance: Duration,
}

/// The signatures that a request claims to have.
pub(super) struct Claim<'a> {
    scheme: &'a StandardWebhooks,
    /// What is signed before the body: `<id>.<time>.`
    head: String,
    signatures: Vec<Signature>,
}

enum Signature {
    /// `v1`
    Hmac(Vec<u8>),
    /// `v1a`
    Ed25519(Vec<u8>),
}

/// What a secret file holds.
enum Key {
    /// `whsec_`
    Hmac(hmac::Key),
    /// `whpk_`
    Ed25519(UnparsedPublicKey<Vec<u8>>),
}

/// Standard Webhooks; also the headers `svix-…`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StandardWebhooksConfig {
    /// One file or several, each with `whsec_<base64>` (HMAC-SHA256) or `whpk_<base64>` (ed25519,
    /// the public key); a signature by each is valid.
    pub secret_file: SecretFiles,
    /// How far the sender's clock and ours may be apart, either way. Default 5 min, as the
    /// specification's libraries have it.
    #[serde(default = "tolerance", with = "duration")]
    #[schemars(with = "duration::Written")]
    pub tolerance: Duration,
}

fn tolerance() -> Duration {
    TOLERANCE
}

impl StandardWebhooksConfig {
    pub fn open(&self) -> Result<StandardWebhooks, ConfigError> {
        let secrets = Credentials::open_if(&self.secret_file, |secret| match Key::read(secret) {
            Some(_) => Ok(()),
            None => Err(
                "holds neither whsec_ with at least 24 bytes in base64 nor whpk_ with 32: copy the sender's signing secret, or public key, whole",
            ),
        });
        Ok(self.open_with(secrets?))
    }

    pub(super) fn open_with(&self, secrets: Credentials) -> StandardWebhooks {
        StandardWebhooks {
            secrets,
            tolerance: self.tolerance,
        }
    }
}

/// The prefix of the headers. The id must be the signed one, so verification and decoding both use this
/// function: an unsigned `webhook-id` beside signed `svix-` headers fails verification.
pub(crate) fn prefix(headers: &HeaderMap) -> &'static str {
    if headers.contains_key("webhook-id") {
        "webhook"
    } else {
        "svix"
    }
}

impl StandardWebhooks {
    pub(super) fn claim(&self, request: &Request<'_>) -> Result<Claim<'_>, Unauthorized> {
        let prefix = prefix(request.headers);
        let header = |name| single(request.headers, format!("{prefix}-{name}")).ok_or(Unauthorized);
        let (id, time) = (header("id")?, header("timestamp")?);
        let seconds = time.parse().map_err(|_| Unauthorized)?;
        let sent = Timestamp::from_second(seconds).map_err(|_| Unauthorized)?;
        recent(sent, request.now, self.tolerance)?;
        let signatures = header("signature")?.split(' ').filter_map(Signature::read);
        Ok(Claim {
            scheme: self,
            head: format!("{id}.{time}."),
            signatures: signatures.take(MAX_SIGNATURES).collect(),
        })
    }

    /// Signs a sample as the sender would.
    pub(super) fn sign(&self, request: &mut Unsigned, now: Timestamp) -> Result<(), Unsignable> {
        let time = now.as_second();
        let id = request.headers.entry("webhook-id").or_insert(SAMPLE_ID);
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

impl<'a> Claim<'a> {
    pub(super) fn check(&self, body: &[u8]) -> Result<Fit<'a>, Unauthorized> {
        let message = [self.head.as_bytes(), body].concat();
        let signed = self.scheme.secrets.fit(|secret| {
            let key = Key::read(secret);
            let fits = |signature| {
                key.as_ref()
                    .is_some_and(|key| key.fits(&message, signature))
            };
            self.signatures.iter().any(fits)
        });
        signed.ok_or(Unauthorized)
    }
}

impl Signature {
    /// `None` for other texts and for unknown versions.
    fn read(text: &str) -> Option<Self> {
        let (version, signature) = text.split_once(',')?;
        let signature = STANDARD.decode(signature).ok()?;
        match version {
            "v1" => Some(Self::Hmac(signature)),
            "v1a" => Some(Self::Ed25519(signature)),
            _ => None,
        }
    }
}

impl Key {
    fn read(secret: &str) -> Option<Self> {
        if let Some(public) = secret.strip_prefix("whpk_") {
            let public = STANDARD.decode(public).ok()?;
            (public.len() == PUBLIC_KEY_BYTES)
                .then(|| Self::Ed25519(UnparsedPublicKey::new(&ED25519, public)))
        } else {
            let secret = STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
            (secret.len() >= MIN_SECRET_BYTES)
                .then(|| Self::Hmac(hmac::Key::new(HMAC_SHA256, &secret)))
        }
    }

    fn fits(&self, message: &[u8], signature: &Signature) -> bool {
        match (self, signature) {
            (Self::Hmac(key), Signature::Hmac(tag)) => hmac::verify(key, message, tag).is_ok(),
            (Self::Ed25519(key), Signature::Ed25519(signature)) => {
                key.verify(message, signature).is_ok()
            }
            _ => false,
        }
    }
}
