//! The signature that Amazon SNS puts into the body:
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>.
//!
//! It says that somebody's topic sent the message. Whose topic counts the format aws-sns knows.

mod certificate;
mod certificates;
mod envelope;

use std::time::Duration;

use eso_relay::config::duration;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{certificate::Certificate, certificates::Certificates, envelope::Envelope};
use super::{Refused, Request, Unauthorized, single};
use crate::outgoing::{Https, Outgoing};

/// How far SNS's clock may be ahead of ours.
const AHEAD: Duration = Duration::from_secs(5 * 60);

pub struct Sns {
    max_age: Duration,
    certificates: Certificates,
}

/// The signature that the body is to have.
pub(super) struct Claim<'a> {
    sns: &'a Sns,
    now: Timestamp,
}

/// A signature of Amazon SNS, by a certificate that AWS publishes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SnsConfig {
    /// Default `1h`, for which SNS tries at most. An older message is refused: somebody repeats it.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    pub max_age: Duration,
}

impl Default for SnsConfig {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(60 * 60),
        }
    }
}

impl SnsConfig {
    pub fn open(&self, outgoing: &Outgoing) -> Sns {
        Sns {
            max_age: self.max_age,
            certificates: Certificates::new(outgoing.clone()),
        }
    }

    /// The same, with the certificate (PEM) at `url` known already, as after a first message of it:
    /// for who measures. `None` if it is no certificate.
    pub fn open_knowing(&self, outgoing: &Outgoing, url: &Https, pem: &[u8]) -> Option<Sns> {
        let sns = self.open(outgoing);
        sns.certificates.know(url, Certificate::parse(pem)?);
        Some(sns)
    }
}

impl Sns {
    /// Every message of SNS has this header, so that other bodies need not be read.
    pub(super) fn claim(&self, request: &Request<'_>) -> Result<Claim<'_>, Unauthorized> {
        single(request.headers, "x-amz-sns-message-type").ok_or(Unauthorized)?;
        Ok(Claim {
            sns: self,
            now: request.now,
        })
    }

    fn is_timely(&self, sent: Timestamp, now: Timestamp) -> bool {
        let age = now.duration_since(sent);
        match Duration::try_from(age) {
            Ok(age) => age <= self.max_age,
            Err(_) => age.unsigned_abs() <= AHEAD,
        }
    }
}

impl Claim<'_> {
    /// The certificate is fetched last, for a message that lacks nothing else.
    pub(super) async fn check(&self, body: &[u8]) -> Result<(), Refused> {
        let envelope = Envelope::parse(body).ok_or(Unauthorized)?;
        let signed = envelope.signed().ok_or(Unauthorized)?;
        let signature = envelope.signature().ok_or(Unauthorized)?;
        let url = envelope.certificate().ok_or(Unauthorized)?;
        let sent = envelope.timestamp().ok_or(Unauthorized)?;
        if !self.sns.is_timely(sent, self.now) {
            return Err(Unauthorized.into());
        }
        let certificate = self.sns.certificates.get(&url, self.now).await?;
        certificate.verify(signed.as_bytes(), &signature)?;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
