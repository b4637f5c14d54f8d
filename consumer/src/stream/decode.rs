//! Decodes the events of a message. Each event that cannot be decoded is rejected alone.

use eso_relay::{Event, event::decode_batch, stream};

use super::Message;
use crate::object::Rejection;

/// The events of one message in order, and the rejections of those that cannot be decoded.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// Each with its place in the message.
    pub events: Vec<(usize, Event)>,
    pub rejected: Vec<Rejection>,
}

/// Never fails: a message that is no batch of events is one rejection.
pub(crate) fn decode(message: &Message) -> Decoded {
    // The subject first: the body of another major version may have any format.
    if let Err(error) = message.subject.parse::<stream::Subject>() {
        return Decoded::rejected(error.to_string());
    }
    let batch = match decode_batch(&message.body) {
        Ok(batch) => batch,
        Err(error) => return Decoded::rejected(error.to_string()),
    };
    let mut decoded = Decoded::default();
    for (index, element) in batch.into_iter().enumerate() {
        match element {
            Ok(event) => decoded.events.push((index, event)),
            Err(error) => decoded
                .rejected
                .push(undecodable(Some(index), error.to_string())),
        }
    }
    decoded
}

impl Decoded {
    fn rejected(error: String) -> Self {
        Self {
            events: Vec::new(),
            rejected: vec![undecodable(None, error)],
        }
    }
}

fn undecodable(index: Option<usize>, error: String) -> Rejection {
    Rejection {
        index,
        reason: stream::Reason::Undecodable,
        error,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use eso_relay::event::encode_batch;

    use super::*;
    use crate::tests::{event, received};

    fn message(subject: &str, body: impl Into<Bytes>) -> Message {
        Message {
            subject: subject.into(),
            body: body.into(),
            ..received(7)
        }
    }

    const SUBJECT: &str = "eso-relay.events.v1.akeyless.prod";

    #[test]
    fn the_events_of_a_message_keep_their_order() {
        let (one, two) = (event("one"), event("two"));
        let decoded = decode(&message(SUBJECT, encode_batch([&one, &two])));
        assert_eq!(decoded.events, [(0, one), (1, two)]);
        assert!(decoded.rejected.is_empty());
    }

    #[test]
    fn a_bad_event_does_not_take_the_good_one_with_it() {
        let good = event("good");
        let batch = encode_batch([&good]);
        let batch = String::from_utf8(batch.into()).unwrap();
        let body = batch.replacen('[', r#"[{"specversion":"2.0","type":"secret.changed"},"#, 1);
        let decoded = decode(&message(SUBJECT, body));
        assert_eq!(decoded.events, [(1, good)]);
        assert_eq!(decoded.rejected.len(), 1);
        assert_eq!(decoded.rejected[0].index, Some(0));
    }

    #[test]
    fn a_message_of_another_major_version_is_rejected_as_a_whole() {
        let body = encode_batch([&event("fine")]);
        let decoded = decode(&message("eso-relay.events.v2.akeyless.prod", body));
        assert!(decoded.events.is_empty());
        assert_eq!(decoded.rejected.len(), 1);
        assert_eq!(decoded.rejected[0].index, None);
        assert_eq!(decoded.rejected[0].error, "unknown major version 2");
    }

    #[test]
    fn a_body_that_is_no_batch_is_rejected_without_being_quoted() {
        for body in ["", "hunter2", "{}", "[]", "[", "\u{0}\u{1}"] {
            let decoded = decode(&message(SUBJECT, body));
            assert!(decoded.events.is_empty());
            assert_eq!(decoded.rejected.len(), 1, "{body:?}");
            assert!(!decoded.rejected[0].error.contains("hunter2"));
        }
    }
}
