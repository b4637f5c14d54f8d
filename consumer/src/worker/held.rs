//! The messages in progress: their reply subjects, and what the log says about their events. Of a parked
//! message only the reply is kept.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use eso_relay::event::Fingerprint;
use jiff::Timestamp;

use crate::{
    matching::MatchedEvent,
    object::Sequence,
    stream::{Message, Reply, gap::Holding},
};

/// The messages are bounded by the engine's capacity, those that are parked by the number of targets.
#[derive(Default)]
pub(super) struct Held {
    messages: HashMap<Sequence, HeldMessage>,
    parked: HashMap<Sequence, Reply>,
    /// Each event with the number of messages that contain it: a replay may publish one again.
    events: HashMap<Fingerprint, (MatchedEvent, usize)>,
    bytes: usize,
    /// Nak'ed with a delay: the server redelivers them by then, and no replica holds them.
    delayed: BTreeMap<Sequence, Timestamp>,
}

struct HeldMessage {
    received: Message,
    events: Vec<Fingerprint>,
}

impl Held {
    /// A redelivery replaces the delivery before it: acks go to the newest.
    pub(super) fn insert(&mut self, received: Message, events: Vec<MatchedEvent>) {
        self.remove(received.sequence);
        self.delayed.remove(&received.sequence);
        let values = events.iter().map(|event| event.value).collect();
        for event in events {
            let known = self.events.entry(event.value);
            known.or_insert((event, 0)).1 += 1;
        }
        self.bytes += received.body.len();
        let message = HeldMessage {
            received,
            events: values,
        };
        self.messages.insert(message.received.sequence, message);
    }

    /// Removes the message; returns where its ack goes, and its events.
    pub(super) fn remove(&mut self, sequence: Sequence) -> Option<(Reply, Vec<MatchedEvent>)> {
        if let Some(reply) = self.parked.remove(&sequence) {
            self.delayed.remove(&sequence);
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

    /// Keeps only the reply of the message, which is redelivered by `until`.
    pub(super) fn park(&mut self, sequence: Sequence, until: Timestamp) -> Option<Reply> {
        let (reply, _) = self.remove(sequence)?;
        self.parked.insert(sequence, reply.clone());
        self.delay(sequence, until);
        Some(reply)
    }

    pub(super) fn parked_reply(&self, sequence: Sequence) -> Option<&Reply> {
        self.parked.get(&sequence)
    }

    pub(super) fn knows(&self, sequence: Sequence) -> bool {
        self.messages.contains_key(&sequence) || self.parked.contains_key(&sequence)
    }

    pub(super) fn message(&self, sequence: Sequence) -> Option<&Message> {
        Some(&self.messages.get(&sequence)?.received)
    }

    pub(super) fn event(&self, value: Fingerprint) -> Option<&MatchedEvent> {
        Some(&self.events.get(&value)?.0)
    }

    /// The event at this index of a message, if it could be decoded.
    pub(super) fn event_at(&self, sequence: Sequence, index: usize) -> Option<&MatchedEvent> {
        let values = &self.messages.get(&sequence)?.events;
        let mut events = values.iter().filter_map(|value| self.event(*value));
        events.find(|event| event.index == index)
    }

    /// The message is nak'ed, and redelivered by `until`.
    pub(super) fn delay(&mut self, sequence: Sequence, until: Timestamp) {
        self.delayed.insert(sequence, until);
    }

    /// The un-acked messages that this replica knows of.
    pub(super) fn holding(&mut self, now: Timestamp) -> Holding {
        self.delayed.retain(|_, until| now < *until);
        let held = || {
            let messages = self.messages.iter();
            let unacked = messages.filter(|(_, it)| matches!(it.received.reply, Reply::Ack(_)));
            unacked.map(|(sequence, _)| *sequence)
        };
        let delayed = self.delayed.keys().copied();
        Holding {
            refreshes: false,
            held: held().count() + self.delayed.len(),
            lowest: held().chain(delayed).min(),
            until: self.delayed.values().max().copied(),
        }
    }

    /// When the oldest event of the messages was received.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        let events = self.events.values();
        events.map(|(event, _)| event.received_at).min()
    }

    /// The size of all bodies.
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
    use crate::tests::{matched_event, received};

    fn message(sequence: Sequence, reply: &str) -> Message {
        Message {
            reply: Reply::Ack(reply.into()),
            ..received(sequence)
        }
    }

    fn seen(value: &str) -> MatchedEvent {
        matched_event(value.parse().unwrap(), Timestamp::UNIX_EPOCH)
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
        let received = Message {
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
    fn the_oldest_event_is_that_of_the_messages_at_work() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let event = |value: &str, second| MatchedEvent {
            received_at: at(second),
            ..seen(value)
        };
        let mut held = Held::default();
        assert_eq!(held.oldest(), None);
        held.insert(message(7, "a"), vec![event(VALUE, 20)]);
        held.insert(message(8, "b"), vec![event("99887766554433221100", 10)]);
        assert_eq!(held.oldest(), Some(at(10)));
        held.park(8, Timestamp::MAX);
        assert_eq!(held.oldest(), Some(at(20)));
        held.remove(7);
        assert_eq!(held.oldest(), None);
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
