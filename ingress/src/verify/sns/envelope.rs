//! The fields of an envelope that the signature covers, and those that say how.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::Deserialize;

use crate::outgoing::Https;

/// Characters; AWS's have about a hundred.
const LONGEST_URL: usize = 512;
/// Characters: that of an RSA key of 8192 bits, the largest that counts, has fewer.
const LONGEST_SIGNATURE: usize = 1400;

/// Parsed before authentication: no other field is kept, and a field that is repeated or not text is an error.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Envelope<'a> {
    #[serde(rename = "Type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(borrow)]
    message_id: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow)]
    topic_arn: Cow<'a, str>,
    subject: Option<String>,
    token: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
    #[serde(borrow)]
    signature: Cow<'a, str>,
    #[serde(borrow)]
    signature_version: Cow<'a, str>,
    #[serde(rename = "SigningCertURL", borrow)]
    signing_cert_url: Cow<'a, str>,
}

/// With the hash that `SignatureVersion` names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Signature {
    Sha1(Vec<u8>),
    Sha256(Vec<u8>),
}

impl<'a> Envelope<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// The text that is signed: name and value of each field, a line each. `None` where a field
    /// that belongs to the type is missing.
    ///
    /// Only `Message` may have several lines; otherwise one text could be read as two messages.
    pub(super) fn signed(&self) -> Option<String> {
        let subject = self.subject.as_deref().map(|subject| ("Subject", subject));
        let (before, between) = match &*self.kind {
            "Notification" => (subject, None),
            "SubscriptionConfirmation" | "UnsubscribeConfirmation" => (
                Some(("SubscribeURL", self.subscribe_url.as_deref()?)),
                Some(("Token", self.token.as_deref()?)),
            ),
            _ => return None,
        };
        let fields = [Some(("MessageId", &*self.message_id)), before]
            .into_iter()
            .chain([Some(("Timestamp", &*self.timestamp)), between])
            .chain([
                Some(("TopicArn", &*self.topic_arn)),
                Some(("Type", &*self.kind)),
            ]);
        let mut text = format!("Message\n{}\n", self.message);
        for (name, value) in fields.flatten() {
            if value.contains('\n') {
                return None;
            }
            text.extend([name, "\n", value, "\n"]);
        }
        Some(text)
    }

    pub(super) fn signature(&self) -> Option<Signature> {
        if self.signature.len() > LONGEST_SIGNATURE {
            return None;
        }
        let bytes = STANDARD.decode(&*self.signature).ok()?;
        match &*self.signature_version {
            "1" => Some(Signature::Sha1(bytes)),
            "2" => Some(Signature::Sha256(bytes)),
            _ => None,
        }
    }

    /// The URL of the certificate: a file of SNS, in one spelling only, so that it is cached once.
    pub(super) fn certificate(&self) -> Option<Https> {
        let text = &*self.signing_cert_url;
        let url = Https::of_sns(text)
            .ok()
            .filter(|_| text.len() <= LONGEST_URL)?;
        let name = url.path().strip_prefix('/')?.strip_suffix(".pem")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        // A query or a fragment would stand behind the path.
        (name.bytes().all(plain) && !text.contains(['?', '#'])).then_some(url)
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic_arn
    }

    pub(super) fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp.parse().ok()
    }
}
