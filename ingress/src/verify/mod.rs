//! Authenticates requests: headers first, then the raw bytes, both before anything is parsed.
//!
//! ```text
//! Request (headers, query) ──Scheme::admit──▶ Admitted ──(read the body)──▶ Admitted::verify ──▶ Verified
//! ```

mod basic;
mod bearer;
mod carrier;
mod coding;
mod config;
mod credentials;
mod header;
mod hmac;
pub mod jwt;
mod mtls;
mod sign;
pub(crate) mod sns;
mod standard_webhooks;

use std::{mem, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use ring::hmac::{HMAC_SHA256, Key, sign, verify};

pub use self::{
    basic::Basic,
    bearer::Bearer,
    coding::CodingError,
    config::{AuthConfig, BasicConfig, BearerConfig, SchemeName},
    credentials::{Credentials, Refresh},
    header::{Header, HeaderConfig},
    hmac::{Algorithm, Encoding, Hmac, HmacConfig, Preset},
    jwt::{Jwt, JwtConfig},
    mtls::{Mtls, MtlsConfig},
    sign::{Unsignable, Unsigned},
    sns::{Sns, SnsConfig},
    standard_webhooks::{StandardWebhooks, StandardWebhooksConfig},
};

pub(crate) use self::{config::written, standard_webhooks::prefix as standard_webhooks_prefix};
use self::{credentials::Fit, jwt::IssuerKeys};
use crate::{head::Head, tls::ClientCertificate};

/// How far the clock of a sender that signs the time may be from ours, by default.
const TOLERANCE: Duration = Duration::from_secs(300);

/// How a source authenticates: a file for each scheme.
pub enum Scheme {
    /// Anyone who knows the path may send.
    None,
    Basic(Basic),
    Bearer(Bearer),
    Header(Header),
    Hmac(Hmac),
    Jwt(Jwt),
    Mtls(Mtls),
    StandardWebhooks(StandardWebhooks),
    Sns(Sns),
    /// Every one of them holds.
    All(Vec<Scheme>),
    /// At least one of them holds.
    Any(Vec<Scheme>),
}

/// The parts of a request with credentials, besides its body.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub headers: &'a HeaderMap,
    pub query: Option<&'a str>,
    /// Of the connection, if the ingress ends TLS and the client showed one.
    pub certificate: Option<&'a ClientCertificate>,
    /// When it arrived: signed times are compared with it.
    pub now: Timestamp,
}

/// A request whose headers are accepted. A signature of its body is still to be checked.
pub struct Admitted<'a>(Pending<'a>);

enum Pending<'a> {
    /// It holds, by this credential if it is one of several.
    Held(Option<Fit<'a>>),
    Hmac(hmac::Claim<'a>),
    StandardWebhooks(standard_webhooks::Claim<'a>),
    Sns(sns::Claim<'a>),
    All(Vec<Pending<'a>>),
    /// With the error of the schemes that failed already.
    Any(Vec<Pending<'a>>, Refused),
}

/// The exact bytes of an authenticated request. Only [`Admitted::verify`] makes one.
#[derive(Debug)]
pub struct Verified(Bytes);

/// The credentials are missing or wrong. Deliberately without details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("missing or wrong credentials")]
pub struct Unauthorized;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    /// What verification needs, such as the issuer's keys, is unavailable now. The sender should try again.
    #[error("the credentials cannot be verified now")]
    Unavailable,
}

impl<'a> Request<'a> {
    pub(crate) fn of(head: Head<'a>, now: Timestamp) -> Self {
        Self {
            headers: head.headers,
            query: head.uri.query(),
            certificate: head.caller.certificate.as_deref(),
            now,
        }
    }
}

impl Scheme {
    /// Checks all but the body: that of a sender with wrong headers is never read.
    pub async fn admit<'a>(&'a self, request: &Request<'_>) -> Result<Admitted<'a>, Refused> {
        self.pending(request).await.map(Admitted)
    }

    async fn pending<'a>(&'a self, request: &Request<'_>) -> Result<Pending<'a>, Refused> {
        Ok(match self {
            Self::None => Pending::Held(None),
            Self::Basic(basic) => Pending::Held(Some(basic.check(request.headers)?)),
            Self::Bearer(bearer) => Pending::Held(Some(bearer.check(request.headers)?)),
            Self::Header(header) => Pending::Held(Some(header.check(request)?)),
            Self::Jwt(jwt) => {
                // Boxed, as the check of SNS: the other schemes do not carry its size.
                Box::pin(jwt.check(request.headers, request.now)).await?;
                Pending::Held(None)
            }
            Self::Mtls(mtls) => {
                mtls.check(request.certificate)?;
                Pending::Held(None)
            }
            Self::Hmac(hmac) => Pending::Hmac(hmac.claim(request)?),
            Self::StandardWebhooks(webhooks) => Pending::StandardWebhooks(webhooks.claim(request)?),
            Self::Sns(sns) => Pending::Sns(sns.claim(request)?),
            Self::All(schemes) => {
                let mut all = Vec::with_capacity(schemes.len());
                for scheme in schemes {
                    all.push(Box::pin(scheme.pending(request)).await?);
                }
                Pending::All(all)
            }
            Self::Any(schemes) => {
                let (mut any, mut refused) = (Vec::new(), Unauthorized.into());
                for scheme in schemes {
                    match Box::pin(scheme.pending(request)).await {
                        Ok(pending) => any.push(pending),
                        Err(other) => refused = worse(refused, other),
                    }
                }
                if any.is_empty() {
                    return Err(refused);
                }
                Pending::Any(any, refused)
            }
        })
    }

    /// For `WWW-Authenticate` (RFC 9110 §11.6.1); only two of the schemes are registered.
    pub fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Basic(_) => Some("Basic realm=\"eso-relay\", charset=\"UTF-8\""),
            Self::Bearer(_) | Self::Jwt(_) => Some("Bearer realm=\"eso-relay\""),
            Self::All(schemes) | Self::Any(schemes) => schemes.iter().find_map(Self::challenge),
            Self::None
            | Self::Header(_)
            | Self::Hmac(_)
            | Self::Mtls(_)
            | Self::Sns(_)
            | Self::StandardWebhooks(_) => None,
        }
    }

    /// Reads secrets again whose files have changed. Blocks on the file system.
    pub fn refresh(&self) -> Vec<Refresh> {
        match self {
            Self::None | Self::Mtls(_) | Self::Sns(_) => Vec::new(),
            Self::Jwt(jwt) => jwt.refresh().map(Refresh::Issuer).into_iter().collect(),
            Self::Basic(basic) => basic.passwords.refresh(),
            Self::Bearer(bearer) => bearer.tokens.refresh(),
            Self::Header(header) => header.values.refresh(),
            Self::Hmac(hmac) => hmac.secrets.refresh(),
            Self::StandardWebhooks(webhooks) => webhooks.secrets.refresh(),
            Self::All(schemes) | Self::Any(schemes) => {
                schemes.iter().flat_map(Self::refresh).collect()
            }
        }
    }

    /// The secrets of every scheme in it, in the order of the configuration.
    pub(crate) fn credentials(&self) -> Vec<&Credentials> {
        match self {
            Self::None | Self::Mtls(_) | Self::Sns(_) | Self::Jwt(_) => Vec::new(),
            Self::Basic(basic) => vec![&basic.passwords],
            Self::Bearer(bearer) => vec![&bearer.tokens],
            Self::Header(header) => vec![&header.values],
            Self::Hmac(hmac) => vec![&hmac.secrets],
            Self::StandardWebhooks(webhooks) => vec![&webhooks.secrets],
            Self::All(schemes) | Self::Any(schemes) => {
                schemes.iter().flat_map(Self::credentials).collect()
            }
        }
    }

    /// When the file of each credential was changed, in seconds since 1970.
    pub(crate) fn credentials_changed(&self) -> Vec<Option<i64>> {
        let all = self.credentials().into_iter();
        all.flat_map(Credentials::changed).collect()
    }

    /// The state of the issuers' keys: the greatest age, and the failures of all. `None`: no keys are fetched.
    pub(crate) fn issuer_keys(&self) -> Option<IssuerKeys> {
        match self {
            Self::Jwt(jwt) => jwt.issuer_keys(),
            Self::All(schemes) | Self::Any(schemes) => {
                let all = schemes.iter().filter_map(Self::issuer_keys);
                all.reduce(|one, other| IssuerKeys {
                    age: one.age.max(other.age),
                    failures: one.failures + other.failures,
                })
            }
            _ => None,
        }
    }

    /// Whether it admits requests without credentials.
    pub fn is_open(&self) -> bool {
        match self {
            Self::None => true,
            Self::All(schemes) => schemes.iter().all(Self::is_open),
            Self::Any(schemes) => schemes.iter().any(Self::is_open),
            _ => false,
        }
    }

    /// Whether it admits any app of a directory that can get a token.
    pub fn admits_any_app(&self) -> bool {
        match self {
            Self::Jwt(jwt) => jwt.admits_any_app(),
            Self::All(schemes) => schemes.iter().all(Self::admits_any_app),
            Self::Any(schemes) => schemes.iter().any(Self::admits_any_app),
            _ => false,
        }
    }
}

/// `Unavailable` wins: a sender that may be right should try again.
fn worse(one: Refused, other: Refused) -> Refused {
    match (one, other) {
        (Refused::Unauthorized(_), Refused::Unauthorized(_)) => one,
        _ => Refused::Unavailable,
    }
}

impl Admitted<'_> {
    /// The headers were enough: no signature of the body is to be checked.
    pub fn is_verified(&self) -> bool {
        self.0.is_settled()
    }

    pub async fn verify(mut self, body: Bytes) -> Result<Verified, Refused> {
        self.0.hold(&body).await?;
        self.0.count();
        Ok(Verified(body))
    }
}

impl Pending<'_> {
    fn is_settled(&self) -> bool {
        match self {
            Self::Held(_) => true,
            Self::Hmac(_) | Self::StandardWebhooks(_) | Self::Sns(_) => false,
            Self::All(all) => all.iter().all(Self::is_settled),
            Self::Any(any, _) => any.iter().any(Self::is_settled),
        }
    }

    /// Checks what is left. What holds afterwards is what has verified the request.
    async fn hold(&mut self, body: &[u8]) -> Result<(), Refused> {
        *self = match self {
            Self::Held(_) => return Ok(()),
            Self::Hmac(claim) => Self::Held(Some(claim.check(body)?)),
            Self::StandardWebhooks(claim) => Self::Held(Some(claim.check(body)?)),
            Self::Sns(claim) => {
                Box::pin(claim.check(body)).await?;
                Self::Held(None)
            }
            Self::All(all) => {
                for pending in all {
                    Box::pin(pending.hold(body)).await?;
                }
                return Ok(());
            }
            Self::Any(any, refused) => {
                let (mut refused, mut held) = (*refused, None);
                for mut pending in mem::take(any) {
                    match Box::pin(pending.hold(body)).await {
                        Ok(()) => {
                            held = Some(pending);
                            break;
                        }
                        Err(other) => refused = worse(refused, other),
                    }
                }
                held.ok_or(refused)?
            }
        };
        Ok(())
    }

    /// Counts the credentials that have verified the request.
    fn count(&self) {
        match self {
            Self::Held(Some(fit)) => fit.count(),
            Self::All(all) => all.iter().for_each(Self::count),
            Self::Held(None)
            | Self::Hmac(_)
            | Self::StandardWebhooks(_)
            | Self::Sns(_)
            | Self::Any(..) => {}
        }
    }
}

impl Verified {
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Compares HMACs of both, so that the time taken reveals neither where they differ nor their lengths.
fn equal(presented: &[u8], expected: &[u8]) -> bool {
    let key = Key::new(HMAC_SHA256, b"compare");
    verify(&key, expected, sign(&key, presented).as_ref()).is_ok()
}

/// Whether a signed time is near enough, so that an overheard request cannot be sent again later.
fn recent(sent: Timestamp, now: Timestamp, tolerance: Duration) -> Result<(), Unauthorized> {
    if now.duration_since(sent).unsigned_abs() <= tolerance {
        Ok(())
    } else {
        Err(Unauthorized)
    }
}

/// The single value of a header; a repeated one is refused.
fn single(headers: &HeaderMap, name: impl http::header::AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok())?
}

/// The text after `scheme` in the Authorization header; scheme names are case-insensitive (RFC 9110 §11.1).
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
