//! Signs samples as their sender would.

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

/// Only the real sender can sign it; tells what to do instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsignable(&'static str);

/// A secret that no header can carry.
const NO_TEXT: Unsignable = Unsignable(
    "the secret holds characters that no header can carry, so no sender can send it: choose another",
);

pub(super) const NO_TIME: Unsignable =
    Unsignable("the sample is not an object, so it cannot hold the time that the scheme needs");
pub(super) const PUBLIC: Unsignable = Unsignable(
    "the first secret file holds a public key (whpk_): only the owner of the private one can sign; name a file with whsec_ first, or let the sender send a test",
);

impl Scheme {
    /// Adds the credentials, by the first valid secret. Signed times are `now`.
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
            Self::StandardWebhooks(webhooks) => webhooks.sign(request, now),
            Self::Jwt(_) => Err(Unsignable(
                "only the issuer can sign its tokens: let the sender send a test (Pub/Sub: `gcloud pubsub topics publish TOPIC --message=test`) and look at the log of the ingress; `eso-relay explain` shows what a captured payload becomes",
            )),
            Self::Sns(_) => Err(Unsignable(
                "only SNS can sign: publish to the topic (`aws sns publish --topic-arn ARN --message file://event.json`) and look at the log of the ingress; `eso-relay explain` shows what a captured payload becomes",
            )),
            Self::Mtls(_) => Err(Unsignable(
                "only the owner of the client certificate can send it: send the sample with `curl --cert FILE --key FILE --data-binary @FILE URL`",
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

/// A value that is marked as sensitive.
pub(super) fn secret(value: &str) -> Result<HeaderValue, Unsignable> {
    let mut value = HeaderValue::from_str(value).map_err(|_| NO_TEXT)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        outgoing::{Outgoing, OutgoingConfig},
        verify::{AuthConfig, Request},
    };

    /// The scheme of an `auth:` whose secret file is `FILE`.
    fn scheme(auth: &Value) -> Scheme {
        let file = tempfile::NamedTempFile::new().unwrap();
        let standard = auth.get("standard-webhooks").is_some();
        let secret = if standard {
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        } else {
            "hunter2 & more"
        };
        std::fs::write(&file, secret).unwrap();
        let auth = auth
            .to_string()
            .replace("FILE", file.path().to_str().unwrap());
        let auth: AuthConfig = serde_json::from_str(&auth).unwrap();
        let outgoing = Outgoing::new(&OutgoingConfig::default()).unwrap();
        auth.open(&outgoing, &[]).unwrap()
    }

    fn is_believed(scheme: &Scheme, request: Unsigned, now: Timestamp) -> bool {
        let shown = Request {
            headers: &request.headers,
            query: request.query.as_deref(),
            now,
            certificate: None,
        };
        let verified = async {
            let admitted = scheme.admit(&shown).await?;
            admitted.verify(request.body.into()).await
        };
        block_on(verified).is_ok()
    }

    #[test]
    fn what_is_signed_here_is_believed_by_the_scheme_itself() {
        let now = "2026-08-08T12:00:00.5Z".parse().unwrap();
        for auth in [
            json!("none"),
            json!({ "basic": { "username": "eso", "password_file": "FILE" } }),
            json!({ "bearer": { "token_file": "FILE" } }),
            json!({ "header": { "name": "X-Relay-Key", "value_file": "FILE" } }),
            json!({ "header": { "query": "to ken", "value_file": "FILE" } }),
            json!({ "hmac-sha256": { "header": "X-Sig", "prefix": "sha256=", "secret_file": "FILE" } }),
            json!({ "hmac-sha256": { "header": "X-Sig", "encoding": "base64", "secret_file": "FILE" } }),
            json!({ "hmac-sha256": { "preset": "github", "secret_file": "FILE" } }),
            json!({ "hmac-sha256": { "preset": "infisical", "secret_file": "FILE" } }),
            json!({ "hmac-sha256": { "header": "X-Sig", "algorithm": "sha512", "secret_file": "FILE" } }),
            json!({ "standard-webhooks": { "secret_file": "FILE" } }),
            json!({ "all": [
                { "basic": { "username": "eso", "password_file": "FILE" } },
                { "hmac-sha256": { "header": "X-Sig", "secret_file": "FILE" } },
            ] }),
            json!({ "any": [{ "mtls": { "san": "a" } }, { "bearer": { "token_file": "FILE" } }] }),
        ] {
            let scheme = scheme(&auth);
            let unsigned = || Unsigned {
                body: br#"{"timestamp":1,"key":"a"}"#.to_vec(),
                ..Unsigned::default()
            };
            let mut signed = unsigned();
            scheme.sign(&mut signed, now).unwrap();
            assert!(is_believed(&scheme, signed, now), "{auth}");
            assert_eq!(
                is_believed(&scheme, unsigned(), now),
                scheme.is_open(),
                "{auth}"
            );
        }
    }

    #[test]
    fn what_only_the_provider_can_prove_is_said_with_another_way() {
        let mtls = json!({ "mtls": { "san": "a" } });
        for auth in [
            mtls.clone(),
            json!({ "all": ["none", mtls] }),
            json!({ "any": [mtls] }),
        ] {
            let refused = scheme(&auth).sign(&mut Unsigned::default(), Timestamp::UNIX_EPOCH);
            let said = refused.unwrap_err().to_string();
            assert!(said.contains("curl --cert"), "{auth}: {said}");
        }
        let sns =
            scheme(&json!({ "sns": {} })).sign(&mut Unsigned::default(), Timestamp::UNIX_EPOCH);
        assert!(sns.unwrap_err().to_string().contains("aws sns publish"));
        let google =
            json!({ "jwt": { "preset": "google", "audience": "a", "claims": { "email": "a@b" } } });
        let jwt = scheme(&google).sign(&mut Unsigned::default(), Timestamp::UNIX_EPOCH);
        assert!(
            jwt.unwrap_err()
                .to_string()
                .contains("gcloud pubsub topics publish")
        );
    }

    #[test]
    fn a_signed_time_is_now_in_the_body_too() {
        let scheme =
            scheme(&json!({ "hmac-sha256": { "preset": "infisical", "secret_file": "FILE" } }));
        let mut signed = Unsigned {
            body: br#"{"timestamp":1,"event":"secrets.modified"}"#.to_vec(),
            ..Unsigned::default()
        };
        scheme
            .sign(&mut signed, "2026-08-08T12:00:00.5Z".parse().unwrap())
            .unwrap();
        let body: Value = serde_json::from_slice(&signed.body).unwrap();
        assert_eq!(
            body,
            json!({ "timestamp": 1_786_190_400_500_i64, "event": "secrets.modified" })
        );
        let mut list = Unsigned {
            body: b"[]".to_vec(),
            ..Unsigned::default()
        };
        assert!(scheme.sign(&mut list, Timestamp::UNIX_EPOCH).is_err());
    }

    #[test]
    fn a_secret_is_not_shown_with_the_headers() {
        let mut signed = Unsigned::default();
        let scheme = scheme(&json!({ "bearer": { "token_file": "FILE" } }));
        scheme.sign(&mut signed, Timestamp::UNIX_EPOCH).unwrap();
        assert!(!format!("{signed:?}").contains("hunter2"), "{signed:?}");
    }
}
