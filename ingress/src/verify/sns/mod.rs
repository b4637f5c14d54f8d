//! The signature that Amazon SNS puts into the body:
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>.
//!
//! It proves that a topic of some AWS account sent the message. The format aws-sns checks which topic; here the
//! topics decide for which messages a certificate is fetched at all.

mod certificate;
mod certificates;
mod envelope;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use eso_relay::config::duration;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::info;

use self::{certificate::Certificate, certificates::Certificates, envelope::Envelope};
use super::{Refused, Request, Unauthorized, single};
use crate::outgoing::{Https, Outgoing};

/// How far SNS's clock may be ahead of ours.
const AHEAD: Duration = Duration::from_secs(5 * 60);
/// SNS's retries end within 3600 s by its delivery policy, which cannot be longer
/// (<https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>), besides up to 100
/// attempts that may take 15 s each, and clocks that are 5 min apart.
const MAX_AGE: Duration = Duration::from_secs(90 * 60);
/// The least time between two log lines about unexpected messages.
const QUIET: Duration = Duration::from_secs(60);

pub struct Sns {
    max_age: Duration,
    /// The ARNs for whose messages a certificate is fetched.
    topics: Vec<String>,
    certificates: Certificates,
    /// When an unexpected message was last logged.
    logged: Mutex<Option<Instant>>,
}

/// The signature is in the body, and still to be checked.
pub(super) struct Claim<'a> {
    sns: &'a Sns,
    now: Timestamp,
}

/// A signature of Amazon SNS, by a certificate that AWS publishes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SnsConfig {
    /// Default `90m`: SNS retries for an hour at most, plus the time that its attempts take. An older message
    /// is refused as a replay.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    pub max_age: Duration,
}

impl Default for SnsConfig {
    fn default() -> Self {
        Self { max_age: MAX_AGE }
    }
}

impl SnsConfig {
    /// For messages of these topics.
    pub fn open(&self, outgoing: &Outgoing, topics: &[String]) -> Sns {
        Sns {
            max_age: self.max_age,
            topics: topics.to_vec(),
            certificates: Certificates::new(outgoing.clone()),
            logged: Mutex::default(),
        }
    }

    /// The same, with the certificate (PEM) at `url` known already, as after a first message: for benchmarks.
    /// `None` if it is no certificate.
    pub fn open_knowing(&self, outgoing: &Outgoing, url: &Https, pem: &[u8]) -> Option<Sns> {
        let sns = self.open(outgoing, &[]);
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

    /// Whether to fetch its certificate: the sender knows the name of a listed topic, and the certificate is of
    /// the topic's region, as those of SNS are.
    fn is_expected(&self, topic: &str, url: &Https) -> bool {
        self.topics.iter().any(|known| known == topic) && url.sns_region() == region(topic)
    }

    fn log_unexpected(&self) {
        let now = Instant::now();
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|at| now.duration_since(at) >= QUIET) {
            *logged = Some(now);
            info!(
                "refused a message without fetching its certificate: its TopicArn is not one of the source's `topics`, or its certificate is of another region"
            );
        }
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
    /// Fetches the certificate last, once everything else is in order.
    pub(super) async fn check(&self, body: &[u8]) -> Result<(), Refused> {
        let envelope = Envelope::parse(body).ok_or(Unauthorized)?;
        let signed = envelope.signed().ok_or(Unauthorized)?;
        let signature = envelope.signature().ok_or(Unauthorized)?;
        let url = envelope.certificate().ok_or(Unauthorized)?;
        let sent = envelope.timestamp().ok_or(Unauthorized)?;
        if !self.sns.is_timely(sent, self.now) {
            return Err(Unauthorized.into());
        }
        let certificates = &self.sns.certificates;
        let certificate = if self.sns.is_expected(envelope.topic(), &url) {
            certificates.get(&url, self.now).await?
        } else {
            // Also of a wrong topic: once the signature is verified, its owner gets an answer that says so.
            let known = certificates.known(&url, self.now);
            known.ok_or_else(|| {
                self.sns.log_unexpected();
                Unauthorized
            })?
        };
        certificate.verify(signed.as_bytes(), &signature)?;
        Ok(())
    }
}

/// Of `arn:<partition>:sns:<region>:<account>:<name>`.
fn region(topic: &str) -> Option<&str> {
    topic.split(':').nth(3)
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
