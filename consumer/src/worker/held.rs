//! The messages at work: where their acks go, and what is said about their events. Of one that is
//! parked, only the first is kept.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use eso_relay::event::Fingerprint;
use jiff::Timestamp;

use crate::{
    matching::Seen,
    object::Sequence,
    stream::{Received, Reply, gap::Holding},
};

/// Bounded by the engine's capacity; what is parked, by the targets.
#[derive(Default)]
pub(super) struct Held {
    messages: HashMap<Sequence, Message>,
    parked: HashMap<Sequence, Reply>,
    /// Each event with how many of the messages hold it: a replay can hold one twice.
    events: HashMap<Fingerprint, (Seen, usize)>,
    bytes: usize,
    /// Given back with a delay: the server delivers them again by then, and no replica holds them.
    put_off: BTreeMap<Sequence, Timestamp>,
}

struct Message {
    received: Received,
    events: Vec<Fingerprint>,
}

impl Held {
    /// A redelivery takes the place of the delivery before it: acks go to the newest.
    pub(super) fn insert(&mut self, received: Received, events: Vec<Seen>) {
        self.remove(received.sequence);
        self.put_off.remove(&received.sequence);
        let values = events.iter().map(|event| event.value).collect();
        for event in events {
            let known = self.events.entry(event.value);
            known.or_insert((event, 0)).1 += 1;
        }
        self.bytes += received.body.len();
        let message = Message {
            received,
            events: values,
        };
        self.messages.insert(message.received.sequence, message);
    }

    /// Where its ack goes, and its events. Both are forgotten.
    pub(super) fn remove(&mut self, sequence: Sequence) -> Option<(Reply, Vec<Seen>)> {
        if let Some(reply) = self.parked.remove(&sequence) {
            self.put_off.remove(&sequence);
            return Some((reply, Vec::new()));
        }
        let message = self.messages.remove(&sequence)?;
        self.bytes -= message.received.body.len();
        let forget = |value| match self.events.entry(value) {
            Entry::Occupied(mut known) if known.get().1 > 1 => {
                known.get_mut().1 -= 1;
                Some(known.get().0.clone())
            }
            Entry::Occupied(known) => Some(known.remove().0),
            Entry::Vacant(_) => None,
        };
        let events = message.events.into_iter().filter_map(forget).collect();
        Some((message.received.reply, events))
    }

    /// Only where its ack goes is still needed. It comes again by `until`.
    pub(super) fn park(&mut self, sequence: Sequence, until: Timestamp) -> Option<Reply> {
        let (reply, _) = self.remove(sequence)?;
        self.parked.insert(sequence, reply.clone());
        self.put_off(sequence, until);
        Some(reply)
    }

    pub(super) fn parked_reply(&self, sequence: Sequence) -> Option<&Reply> {
        self.parked.get(&sequence)
    }

    pub(super) fn knows(&self, sequence: Sequence) -> bool {
        self.messages.contains_key(&sequence) || self.parked.contains_key(&sequence)
    }

    pub(super) fn message(&self, sequence: Sequence) -> Option<&Received> {
        Some(&self.messages.get(&sequence)?.received)
    }

    pub(super) fn event(&self, value: Fingerprint) -> Option<&Seen> {
        Some(&self.events.get(&value)?.0)
    }

    /// The event at this place of a message, if it could be read.
    pub(super) fn event_at(&self, sequence: Sequence, index: usize) -> Option<&Seen> {
        let values = &self.messages.get(&sequence)?.events;
        let mut events = values.iter().filter_map(|value| self.event(*value));
        events.find(|event| event.index == index)
    }

    /// The message is given back, and comes again then.
    pub(super) fn put_off(&mut self, sequence: Sequence, until: Timestamp) {
        self.put_off.insert(sequence, until);
    }

    /// What the server waits for an ack of, as far as this replica knows.
    pub(super) fn holding(&mut self, now: Timestamp) -> Holding {
        self.put_off.retain(|_, until| now < *until);
        let held = || {
            let messages = self.messages.iter();
            let unacked = messages.filter(|(_, it)| matches!(it.received.reply, Reply::Ack(_)));
            unacked.map(|(sequence, _)| *sequence)
        };
        let put_off = self.put_off.keys().copied();
        Holding {
            refreshes: false,
            held: held().count() + self.put_off.len(),
            lowest: held().chain(put_off).min(),
            until: self.put_off.values().max().copied(),
        }
    }

    /// Of the bodies of all messages.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn parked(&self) -> usize {
        self.parked.len()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;

    use super::*;
    use crate::{matching::Found, tests::received};

    fn message(sequence: Sequence, reply: &str) -> Received {
        Received {
            reply: Reply::Ack(reply.into()),
            ..received(sequence)
        }
    }

    fn seen(value: &str) -> Seen {
        Seen {
            index: 0,
            value: value.parse().unwrap(),
            source: "prod".parse().unwrap(),
            trace_id: None,
            received_at: Timestamp::UNIX_EPOCH,
            found: Found::matched,
            targets: 1,
            skipped: 0,
        }
    }

    const VALUE: &str = "00112233445566778899";

    #[test]
    fn acks_go_to_the_newest_delivery() {
        let mut held = Held::default();
        held.insert(message(7, "first"), vec![seen(VALUE)]);
        held.insert(message(7, "second"), vec![seen(VALUE)]);
        assert_eq!(held.len(), 1);
        assert_eq!(held.message(7).unwrap().reply, Reply::Ack("second".into()));
        assert!(held.remove(7).is_some());
        assert!(held.event(VALUE.parse().unwrap()).is_none());
    }

    #[test]
    fn of_a_parked_message_only_the_way_of_its_ack_is_kept() {
        let mut held = Held::default();
        let body = Bytes::from_static(b"[]");
        let received = Received {
            body,
            ..message(7, "first")
        };
        held.insert(received, vec![seen(VALUE)]);
        assert_eq!(held.bytes(), 2);
        assert_eq!(
            held.park(7, Timestamp::MAX),
            Some(Reply::Ack("first".into()))
        );
        assert_eq!((held.bytes(), held.len(), held.parked()), (0, 0, 1));
        assert!(held.knows(7) && held.message(7).is_none());
        assert!(held.event(VALUE.parse().unwrap()).is_none());
        held.insert(message(7, "second"), vec![seen(VALUE)]);
        assert_eq!((held.len(), held.parked()), (1, 0));
        held.park(7, Timestamp::MAX);
        let (reply, events) = held.remove(7).unwrap();
        assert_eq!((reply, events.len()), (Reply::Ack("second".into()), 0));
        assert!(!held.knows(7));
    }

    #[test]
    fn an_event_is_known_until_the_last_message_with_it_is_done() {
        let mut held = Held::default();
        held.insert(message(7, "a"), vec![seen(VALUE)]);
        held.insert(message(8, "b"), vec![seen(VALUE)]);
        held.remove(7);
        assert!(held.event(VALUE.parse().unwrap()).is_some());
        held.remove(8);
        assert!(held.event(VALUE.parse().unwrap()).is_none());
    }
}
