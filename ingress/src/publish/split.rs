//! A request's events, encoded and split into parts of which each fits into one message.

use bytes::Bytes;
use eso_relay::{Event, event::encode, stream::Subject};

use super::PublishError;

/// What one message may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
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

/// How much of a message's limits something takes.
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

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            bytes: self.bytes + other.bytes,
        }
    }

    pub(super) fn fits(self, limits: Limits) -> bool {
        // One more byte for the closing bracket.
        self.events <= limits.events && self.bytes < limits.bytes
    }
}

/// The events of each subject stay in order.
pub(super) fn split(events: &[Event], limits: Limits) -> Result<Vec<Part>, PublishError> {
    let mut parts: Vec<Part> = Vec::with_capacity(1);
    for event in events {
        let json = encode(event);
        let size = Size::of(&json);
        if !size.fits(limits) {
            return Err(PublishError::TooLarge);
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
}

#[cfg(test)]
mod tests {
    use eso_relay::event::{encode_batch, join_batch};

    use super::*;
    use crate::publish::tests::event;

    const MANY: Limits = Limits {
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
        let parts = split(&[event("s", "1"), event("s", "2")], MANY).unwrap();
        assert_eq!(ids(&parts), [["1", "2"]]);
        assert_eq!(
            parts[0].subject.to_string(),
            "eso-relay.events.v1.akeyless.s"
        );
    }

    #[test]
    fn each_subject_has_parts_of_its_own() {
        let events = [event("a", "1"), event("b", "2"), event("a", "3")];
        let parts = split(&events, MANY).unwrap();
        assert_eq!(ids(&parts), [vec!["1", "3"], vec!["2"]]);
    }

    #[test]
    fn a_part_holds_as_many_events_as_a_message_may() {
        let events = ["1", "2", "3", "4", "5"].map(|id| event("s", id));
        let parts = split(&events, Limits { events: 2, ..MANY }).unwrap();
        assert_eq!(ids(&parts), [vec!["1", "2"], vec!["3", "4"], vec!["5"]]);
    }

    #[test]
    fn a_body_may_be_exactly_as_large_as_the_limit() {
        let events = [event("s", "1"), event("s", "2")];
        let body = encode_batch(&events);
        let at = |bytes| {
            let parts = split(&events, Limits { bytes, ..MANY }).unwrap();
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
        let refused = split(&[event("s", "1")], Limits { bytes, ..MANY });
        assert_eq!(refused.map(drop), Err(PublishError::TooLarge));
    }
}
