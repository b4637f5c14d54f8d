//! A request's events, encoded and split into parts of which each fits into one message.

use bytes::Bytes;
use eso_relay::{Event, event::encode, stream::Subject};

use super::PublishError;

/// The most bytes of a message's headers, which the limits of server and stream include.
pub(crate) const HEADER_BYTES: usize = 256;

/// What one message may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct MessageLimits {
    pub(super) events: usize,
    /// Of the body.
    pub(super) bytes: usize,
}

/// Events of one subject that go into the same message.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) subject: Subject,
    /// Each as JSON.
    pub(super) events: Vec<Bytes>,
    pub(super) size: Size,
}

/// A size, in the units of [`MessageLimits`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) events: usize,
    bytes: usize,
}

impl Size {
    fn of(event: &Bytes) -> Self {
        Self {
            events: 1,
            // With the bracket or comma before it.
            bytes: event.len() + 1,
        }
    }

    fn of_all(events: &[Bytes]) -> Self {
        let sizes = events.iter().map(Self::of);
        sizes.fold(Self::default(), Self::plus)
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            bytes: self.bytes + other.bytes,
        }
    }

    pub(super) fn fits(self, limits: MessageLimits) -> bool {
        // One more byte for the closing bracket.
        self.events <= limits.events && self.bytes < limits.bytes
    }
}

/// The events of each subject stay in order. `most`: the bytes of a message that the configuration allows;
/// `limits` are lower where the server or the stream accepts less.
pub(super) fn split(
    events: &[Event],
    limits: MessageLimits,
    most: usize,
) -> Result<Vec<Part>, PublishError> {
    let mut parts: Vec<Part> = Vec::with_capacity(1);
    for event in events {
        let json = encode(event);
        let size = Size::of(&json);
        if !size.fits(limits) {
            let ours = size.fits(MessageLimits {
                bytes: most,
                ..limits
            });
            return Err(if ours {
                PublishError::AboveLimits
            } else {
                PublishError::TooLarge
            });
        }
        let newest = parts.iter_mut().rev().find(|part| part.is_for(event));
        match newest {
            Some(part) if part.size.plus(size).fits(limits) => {
                part.size = part.size.plus(size);
                part.events.push(json);
            }
            _ => parts.push(Part {
                subject: Subject::of(event),
                events: vec![json],
                size,
            }),
        }
    }
    Ok(parts)
}

impl Part {
    fn is_for(&self, event: &Event) -> bool {
        self.subject.source == event.source && self.subject.provider == event.provider
    }

    /// Keeps the first half of the events and returns the other.
    pub(super) fn split_off(&mut self) -> Self {
        let events = self.events.split_off(self.events.len() / 2);
        self.size = Size::of_all(&self.events);
        Self {
            subject: self.subject.clone(),
            size: Size::of_all(&events),
            events,
        }
    }
}

#[cfg(test)]
mod tests {
    use eso_relay::event::{encode_batch, join_batch};

    use super::*;
    use crate::publish::tests::event;

    const MANY: MessageLimits = MessageLimits {
        events: 100,
        bytes: 1 << 20,
    };

    fn ids(parts: &[Part]) -> Vec<Vec<String>> {
        let id = |json: &Bytes| {
            let event: serde_json::Value = serde_json::from_slice(json).unwrap();
            event["id"].as_str().unwrap().to_owned()
        };
        let ids = |part: &Part| part.events.iter().map(id).collect();
        parts.iter().map(ids).collect()
    }

    #[test]
    fn a_request_of_one_subject_is_one_part_in_order() {
        let parts = split(&[event("s", "1"), event("s", "2")], MANY, MANY.bytes).unwrap();
        assert_eq!(ids(&parts), [["1", "2"]]);
        assert_eq!(
            parts[0].subject.to_string(),
            "eso-relay.events.v1.akeyless.s"
        );
    }

    #[test]
    fn each_subject_has_parts_of_its_own() {
        let events = [event("a", "1"), event("b", "2"), event("a", "3")];
        let parts = split(&events, MANY, MANY.bytes).unwrap();
        assert_eq!(ids(&parts), [vec!["1", "3"], vec!["2"]]);
    }

    #[test]
    fn a_part_holds_as_many_events_as_a_message_may() {
        let events = ["1", "2", "3", "4", "5"].map(|id| event("s", id));
        let parts = split(&events, MessageLimits { events: 2, ..MANY }, MANY.bytes).unwrap();
        assert_eq!(ids(&parts), [vec!["1", "2"], vec!["3", "4"], vec!["5"]]);
    }

    #[test]
    fn a_body_may_be_exactly_as_large_as_the_limit() {
        let events = [event("s", "1"), event("s", "2")];
        let body = encode_batch(&events);
        let at = |bytes| {
            let parts = split(&events, MessageLimits { bytes, ..MANY }, bytes).unwrap();
            parts
                .iter()
                .map(|part| join_batch(&part.events).len())
                .collect::<Vec<_>>()
        };
        assert_eq!(at(body.len()), [body.len()]);
        let one = encode_batch(&events[..1]).len();
        assert_eq!(at(body.len() - 1), [one, one]);
        assert_eq!(at(one), [one, one]);
    }

    #[test]
    fn an_event_that_fits_into_no_message_refuses_the_request() {
        let one = encode_batch(&[event("s", "1")]).len();
        let bytes = one - 1;
        let refused = |most| {
            let limits = MessageLimits { bytes, ..MANY };
            split(&[event("s", "1")], limits, most).map(drop)
        };
        assert_eq!(refused(bytes), Err(PublishError::TooLarge));
        // Larger than the server takes now, and no larger than we allow: not the sender's fault.
        assert_eq!(refused(one), Err(PublishError::AboveLimits));
    }

    #[test]
    fn the_halves_of_a_part_are_the_part() {
        let events = ["1", "2", "3"].map(|id| event("s", id));
        let mut parts = split(&events, MANY, MANY.bytes).unwrap();
        let whole = parts[0].size;
        let rest = parts[0].split_off();
        assert_eq!(parts[0].size.plus(rest.size), whole);
        parts.push(rest);
        assert_eq!(ids(&parts), [vec!["1"], vec!["2", "3"]]);
    }

    #[test]
    fn headers_take_no_more_than_is_kept_for_them() {
        // Of 1000 events that were halved until each was alone.
        let id = format!("{}-{}{}", "f".repeat(32), u64::MAX, ".1".repeat(10));
        let message = eso_relay::stream::message(&id, 1000, Bytes::new());
        let message = message.outbound_message("a.subject");
        let headers = message.headers.unwrap();
        let lines = headers.iter().flat_map(|(name, values)| {
            let name: &str = name.as_ref();
            values
                .iter()
                .map(move |value| name.len() + 2 + value.as_str().len() + 2)
        });
        let bytes = "NATS/1.0\r\n\r\n".len() + lines.sum::<usize>();
        assert!(bytes <= HEADER_BYTES, "{bytes}");
    }
}
