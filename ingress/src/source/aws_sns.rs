//! Amazon SNS: <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>.
//!
//! An envelope around the JSON text of an `EventBridge` event, and the start and the end of a
//! subscription.

use serde::Deserialize;

use super::{
    Body, DecodeError, Decoded, Element, Handshake, Irrelevant, aws_eventbridge,
    json::{Scalar, fields, whole},
    malformed, usable_id,
};
use crate::outgoing::Https;

/// The topics that may send: every AWS account can sign messages of its own topics.
pub(super) struct Topics(pub(super) Vec<String>);

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Envelope {
    #[serde(rename = "Type")]
    kind: Scalar,
    topic_arn: Scalar,
    message_id: Scalar,
    message: Scalar,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Scalar,
}

impl Topics {
    pub(super) fn decode(&self, body: &[u8]) -> Result<Body, DecodeError> {
        let envelope: Envelope = fields(whole(body)?, "the body")?;
        let kind = envelope.kind.optional("Type")?.ok_or_else(|| {
            malformed(
                "Type is missing: switch raw message delivery of the subscription off, it leaves out the envelope with its signature",
            )
        })?;
        let topic = envelope.topic_arn.required("TopicArn")?;
        if !self.0.contains(&topic) {
            return Err(malformed(
                "TopicArn is not one of the source's `topics`: add it there, or remove the subscription",
            ));
        }
        match kind.as_str() {
            "Notification" => {
                let id = usable_id(envelope.message_id);
                notification(id.as_deref(), &envelope.message.required("Message")?)
                    .map(Body::Decoded)
            }
            "SubscriptionConfirmation" => {
                let url = envelope.subscribe_url.required("SubscribeURL")?;
                let url = Https::of_sns(&url)
                    .map_err(|_| malformed("SubscribeURL is not a URL of Amazon SNS"))?;
                Ok(Body::Handshake(Handshake::Confirmation { url }))
            }
            "UnsubscribeConfirmation" => Ok(Body::Handshake(Handshake::Unsubscribed)),
            _ => {
                let ignored = Element::Ignored(Irrelevant::Type);
                Ok(Body::Decoded(Decoded::one(ignored)))
            }
        }
    }
}

/// `id`: of the SNS message, the same at each retry.
fn notification(id: Option<&str>, message: &str) -> Result<Decoded, DecodeError> {
    let mut decoded = aws_eventbridge::decode(message.as_bytes()).map_err(inside)?;
    for (_, problem) in &mut decoded.malformed {
        problem.insert_str(0, "Message: ");
    }
    for (_, change) in &mut decoded.changes {
        change.id = id.map(str::to_owned);
    }
    Ok(decoded)
}

/// An error in the JSON text within the envelope.
fn inside(error: DecodeError) -> DecodeError {
    match error {
        DecodeError::NotJson { .. } => {
            malformed("Message is not JSON: only events of EventBridge can be read")
        }
        DecodeError::Malformed(problem) => malformed(format!("Message: {problem}")),
        too_many @ DecodeError::TooMany(_) => too_many,
    }
}
