//! Dead letters: stored before the message is terminated, never after.

use anyhow::Context as _;
use async_nats::jetstream::{Context, context::PublishAckFuture, message::PublishMessage};
use bytes::Bytes;
use eso_relay::{
    Slug,
    stream::{DeadLetter, Stream, verify},
};
use serde_json::value::RawValue;

use crate::{
    object::Rejection,
    stream::{Message, Reply},
};

/// The source in a dead letter's subject if the message's own subject names none.
const UNKNOWN_SOURCE: &str = "unknown";

/// Publishes a dead letter for each rejection; `Ok` means that the stream has stored all of them.
pub(crate) async fn publish(
    jetstream: &Context,
    cluster: &Slug,
    message: &Message,
    attempts: u64,
    rejections: &[Rejection],
) -> anyhow::Result<()> {
    // A stream with another retention acknowledges messages that it does not keep. Without the permission
    // to read its configuration, which older users lack, it is trusted.
    if let Err(problem) = verify::dead_letters(jetstream).await
        && problem.is_known()
    {
        return Err(problem.into());
    }
    let mut acks = Vec::with_capacity(rejections.len());
    for rejection in rejections {
        let letter = letter(cluster, message, attempts, rejection)?;
        acks.push(send(jetstream, letter).await?);
    }
    for ack in acks {
        ack.await.with_context(failed)?;
    }
    Ok(())
}

async fn send(jetstream: &Context, letter: DeadLetter) -> anyhow::Result<PublishAckFuture> {
    let message = PublishMessage::build()
        .headers(letter.headers())
        .message_id(letter.message_id())
        .expected_stream(Stream::Dead.name())
        .payload(letter.body.clone());
    let sent = jetstream.send_publish(letter.subject(), message).await;
    sent.with_context(failed)
}

fn failed() -> String {
    format!(
        "cannot store a dead letter in {} (does it exist? `eso-relay init`)",
        Stream::Dead.name()
    )
}

fn letter(
    cluster: &Slug,
    message: &Message,
    attempts: u64,
    rejection: &Rejection,
) -> anyhow::Result<DeadLetter> {
    let source = match message.source() {
        Some(source) => source,
        None => UNKNOWN_SOURCE.parse()?,
    };
    Ok(DeadLetter {
        reason: rejection.reason,
        error: rejection.error.clone(),
        cluster: cluster.clone(),
        source,
        attempts,
        stream_sequence: message.sequence,
        gap: match &message.reply {
            Reply::Gap(gap) => Some(gap.found_at),
            Reply::Ack(_) | Reply::None => None,
        },
        index: rejection.index,
        subject: message.subject.clone(),
        body: rejection
            .index
            .and_then(|index| element(&message.body, index))
            .unwrap_or_else(|| message.body.clone()),
    })
}

/// The bytes of one event of a batch, unchanged.
fn element(batch: &[u8], index: usize) -> Option<Bytes> {
    let elements: Vec<&RawValue> = serde_json::from_slice(batch).ok()?;
    let element = elements.get(index)?;
    Some(Bytes::copy_from_slice(element.get().as_bytes()))
}

#[cfg(test)]
mod tests {
    use eso_relay::stream::{Reason, position::Gap};

    use super::*;
    use crate::{stream::gap, tests::received};

    fn rejected(index: Option<usize>, subject: &str, body: &'static str) -> DeadLetter {
        let message = Message {
            attempt: 2,
            subject: subject.into(),
            body: Bytes::from_static(body.as_bytes()),
            ..received(7)
        };
        let rejection = Rejection {
            index,
            reason: Reason::Undecodable,
            error: "no".into(),
        };
        letter(&"east".parse().unwrap(), &message, 2, &rejection).unwrap()
    }

    #[test]
    fn a_dead_letter_holds_the_one_event_as_it_stood() {
        let subject = "eso-relay.events.v1.akeyless.prod";
        let letter = rejected(Some(1), subject, r#"[{"a":1}, {"b" : 2}]"#);
        assert_eq!(letter.body, r#"{"b" : 2}"#);
        assert_eq!(letter.subject(), "eso-relay.dead.v1.east.prod");
        assert_eq!(letter.message_id(), "east.7.1");
    }

    #[test]
    fn dead_letters_of_two_gaps_have_two_ids() {
        let id = |found_at: &str| {
            let gap = Gap {
                found_at: found_at.parse().unwrap(),
                missed: None,
            };
            let east = "east".parse().unwrap();
            let rejection = Rejection {
                index: Some(0),
                reason: Reason::Refused,
                error: "no".into(),
            };
            let letter = letter(&east, &gap::message(gap, &east), 1, &rejection).unwrap();
            letter.message_id()
        };
        let (one, other) = ("2026-01-31T08:00:00Z", "2026-01-31T08:01:00Z");
        assert_eq!(id(one), id(one), "for every attempt to store it");
        assert_ne!(id(one), id(other));
    }

    #[test]
    fn a_message_that_is_no_batch_is_kept_whole() {
        let letter = rejected(None, "eso-relay.events.strange", "\u{1}[");
        assert_eq!(letter.body, "\u{1}[");
        assert_eq!(letter.subject(), "eso-relay.dead.v1.east.unknown");
    }
}
