//! HMAC over the raw body, as GitHub and many others sign.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use eso_relay::config::{ConfigError, SecretFiles, duration};
use http::HeaderName;
use jiff::Timestamp;
use ring::hmac::{self, Key};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Credentials, Fit, Request, TOLERANCE, Unauthorized, Unsignable, Unsigned, recent, sign, single,
};

pub struct Hmac {
    pub(super) secrets: Credentials,
    pub(super) form: Form,
}

/// How a signature is written.
pub(super) struct Form {
    header: HeaderName,
    prefix: String,
    encoding: Encoding,
    algorithm: Algorithm,
    /// The signature is preceded by `t=<Unix time in milliseconds>;`, which has to equal the time in the body
    /// and differ from now by this much at most.
    timed: Option<Duration>,
}

/// The signature that a request claims to have.
pub(super) struct Claim<'a> {
    hmac: &'a Hmac,
    tag: Vec<u8>,
    sent: Option<i64>,
}

/// HMAC over the raw body, in a header: by the preset of a known sender, or as described here.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HmacConfig {
    /// One file or several; a signature by the secret of each is valid.
    pub secret_file: SecretFiles,
    /// A known sender. Then nothing else may be set but `tolerance` for `infisical`.
    #[serde(default)]
    pub preset: Option<Preset>,
    /// The header of the signature, such as `X-Hub-Signature-256`. Needed without `preset`.
    #[serde(default)]
    pub header: Option<String>,
    /// The text before the signature, such as `sha256=`. Default: nothing.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Default `hex`.
    #[serde(default)]
    pub encoding: Option<Encoding>,
    /// Default `sha256`.
    #[serde(default)]
    pub algorithm: Option<Algorithm>,
    /// `infisical`: how far its clock and ours may be apart, either way. Default 5 min.
    #[serde(default, with = "duration::optional")]
    #[schemars(with = "Option<duration::Written>")]
    pub tolerance: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
    Github,
    /// <https://docs.doppler.com/docs/webhooks>
    Doppler,
    /// <https://www.pulumi.com/docs/pulumi-cloud/webhooks/#headers>
    Pulumi,
    /// <https://infisical.com/docs/documentation/platform/webhooks>
    Infisical,
}

/// How the signature is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    #[default]
    Hex,
    /// Standard alphabet, padded (RFC 4648 §4).
    Base64,
}

/// The hash below the HMAC (RFC 2104).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Collisions of SHA-1 do not forge an HMAC, but use it only for senders that support nothing better.
    Sha1,
    #[default]
    Sha256,
    Sha512,
}

impl Form {
    pub(super) fn header(&self) -> &HeaderName {
        &self.header
    }
}

impl HmacConfig {
    pub fn open(&self) -> Result<Hmac, ConfigError> {
        let form = self.form()?;
        Ok(Hmac {
            secrets: Credentials::open(&self.secret_file)?,
            form,
        })
    }

    pub(super) fn form(&self) -> Result<Form, ConfigError> {
        let invalid = |problem: String| Err(ConfigError::Invalid(problem));
        if self.tolerance.is_some() && self.preset != Some(Preset::Infisical) {
            return invalid(
                "auth.hmac-sha256.tolerance needs a signed time, which only `preset: infisical` has: remove it".to_owned(),
            );
        }
        if let Some(preset) = self.preset {
            let own = [
                ("header", self.header.is_some()),
                ("prefix", self.prefix.is_some()),
                ("encoding", self.encoding.is_some()),
                ("algorithm", self.algorithm.is_some()),
            ];
            return match own.iter().find(|(_, given)| *given) {
                Some((setting, _)) => invalid(format!(
                    "auth.hmac-sha256.preset already sets it: remove `{setting}`, or remove `preset` and describe the signature"
                )),
                None => Ok(preset.form(self.tolerance)),
            };
        }
        let Some(header) = self.header.as_ref().and_then(|name| name.parse().ok()) else {
            return invalid(
                "auth.hmac-sha256.header is not the name of a header: set one such as X-Hub-Signature-256, or a `preset`".to_owned(),
            );
        };
        let prefix = self.prefix.as_deref().unwrap_or_default();
        if prefix.starts_with([' ', '\t'])
            || !prefix.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        {
            return invalid(
                "auth.hmac-sha256.prefix begins with a blank or holds what no header carries: write the text before the signature, such as sha256=".to_owned(),
            );
        }
        Ok(Form {
            header,
            prefix: self.prefix.clone().unwrap_or_default(),
            encoding: self.encoding.unwrap_or_default(),
            algorithm: self.algorithm.unwrap_or_default(),
            timed: None,
        })
    }
}

impl Preset {
    fn form(self, tolerance: Option<Duration>) -> Form {
        let (header, prefix, timed) = match self {
            Self::Github => ("x-hub-signature-256", "sha256=", None),
            Self::Doppler => ("x-doppler-signature", "sha256=", None),
            Self::Pulumi => ("pulumi-webhook-signature", "", None),
            Self::Infisical => (
                "x-infisical-signature",
                "",
                Some(tolerance.unwrap_or(TOLERANCE)),
            ),
        };
        Form {
            header: HeaderName::from_static(header),
            prefix: prefix.to_owned(),
            encoding: Encoding::Hex,
            algorithm: Algorithm::Sha256,
            timed,
        }
    }
}

impl Hmac {
    /// The signature that the headers claim.
    pub(super) fn claim(&self, request: &Request<'_>) -> Result<Claim<'_>, Unauthorized> {
        let form = &self.form;
        let mut text = single(request.headers, &form.header).ok_or(Unauthorized)?;
        let mut sent = None;
        if let Some(tolerance) = form.timed {
            let timed = text
                .strip_prefix("t=")
                .and_then(|rest| rest.split_once(';'));
            let (time, signature) = timed.ok_or(Unauthorized)?;
            let time = time.parse().map_err(|_| Unauthorized)?;
            let at = Timestamp::from_millisecond(time).map_err(|_| Unauthorized)?;
            recent(at, request.now, tolerance)?;
            (text, sent) = (signature, Some(time));
        }
        let text = text.strip_prefix(&form.prefix).ok_or(Unauthorized)?;
        let tag = match form.encoding {
            Encoding::Hex => HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok(),
            Encoding::Base64 => STANDARD.decode(text).ok(),
        };
        Ok(Claim {
            hmac: self,
            tag: tag.ok_or(Unauthorized)?,
            sent,
        })
    }

    /// Signs a sample as the sender would.
    pub(super) fn sign(&self, request: &mut Unsigned, now: Timestamp) -> Result<(), Unsignable> {
        let form = &self.form;
        let mut value = String::new();
        if form.timed.is_some() {
            let time = now.as_millisecond();
            value = format!("t={time};");
            request.body = sent(time, &request.body)?;
        }
        let tag = self.secrets.first(|secret| {
            let key = Key::new(form.algorithm.ring(), secret.as_bytes());
            hmac::sign(&key, &request.body)
        });
        value.push_str(&form.prefix);
        value.push_str(&match form.encoding {
            Encoding::Hex => HEXLOWER.encode(tag.as_ref()),
            Encoding::Base64 => STANDARD.encode(tag),
        });
        request.headers.insert(&form.header, sign::secret(&value)?);
        Ok(())
    }
}

impl<'a> Claim<'a> {
    pub(super) fn check(&self, body: &[u8]) -> Result<Fit<'a>, Unauthorized> {
        let Hmac { secrets, form } = self.hmac;
        let signed = secrets.fit(|secret| {
            let key = Key::new(form.algorithm.ring(), secret.as_bytes());
            hmac::verify(&key, body, &self.tag).is_ok()
        });
        // The MAC covers the body alone: the time in the header counts only if the body has the same.
        signed
            .filter(|_| self.sent.is_none() || self.sent == timestamp(body))
            .ok_or(Unauthorized)
    }
}

impl Algorithm {
    fn ring(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }
}

/// The time in the body.
fn timestamp(body: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    struct Body {
        timestamp: i64,
    }
    let body: Body = serde_json::from_slice(body).ok()?;
    Some(body.timestamp)
}

/// The body with the time of the signature, which has to equal it.
fn sent(time: i64, body: &[u8]) -> Result<Vec<u8>, Unsignable> {
    let body: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
    let mut body = body.ok_or(sign::NO_TIME)?;
    body.insert("timestamp".to_owned(), time.into());
    Ok(Value::Object(body).to_string().into_bytes())
}
