//! The stream and the durable that the replicas share.

use std::{collections::BTreeSet, time::Duration};

use eso_relay::stream::ACK_WAIT;

use super::super::Urgency;

#[derive(Default)]
pub(super) struct Server {
    /// The message with sequence 1 first.
    pub(super) messages: Vec<Message>,
    pub(super) takes_dead_letters: bool,
}

pub(super) struct Message {
    pub(super) published: Duration,
    pub(super) events: Vec<Event>,
    /// Whoever decodes it panics.
    pub(super) poisonous: bool,
    pub(super) state: State,
    pub(super) deliveries: u64,
    /// What is in the dead-letter stream of it; `None` is the whole message.
    pub(super) dead: BTreeSet<Option<usize>>,
}

pub(super) struct Event {
    pub(super) objects: BTreeSet<usize>,
    pub(super) undecodable: bool,
    pub(super) settle: Option<Duration>,
    pub(super) urgency: Urgency,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting { from: Duration },
    Pending { until: Duration },
    Acked,
    Terminated,
}

impl Server {
    pub(super) fn publish(&mut self, now: Duration, events: Vec<Event>, poisonous: bool) {
        self.messages.push(Message {
            published: now,
            events,
            poisonous,
            state: State::Waiting { from: now },
            deliveries: 0,
            dead: BTreeSet::new(),
        });
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = (u64, &Message)> {
        (1..).zip(&self.messages)
    }

    pub(super) fn message(&self, sequence: u64) -> &Message {
        &self.messages[usize::try_from(sequence).unwrap() - 1]
    }

    pub(super) fn message_mut(&mut self, sequence: u64) -> &mut Message {
        &mut self.messages[usize::try_from(sequence).unwrap() - 1]
    }

    pub(super) fn available(&self, now: Duration) -> Vec<u64> {
        self.messages()
            .filter(|(_, message)| message.due().is_some_and(|due| due <= now))
            .map(|(sequence, _)| sequence)
            .collect()
    }

    /// When the next message can be delivered.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.messages.iter().filter_map(Message::due).min()
    }

    /// Returns the attempt.
    pub(super) fn deliver(&mut self, now: Duration, sequence: u64) -> u64 {
        let message = self.message_mut(sequence);
        message.state = State::Pending {
            until: now + ACK_WAIT,
        };
        message.deliveries += 1;
        message.deliveries
    }

    pub(super) fn ack(&mut self, sequence: u64) {
        self.settle(sequence, State::Acked);
    }

    pub(super) fn term(&mut self, sequence: u64) {
        self.settle(sequence, State::Terminated);
    }

    pub(super) fn nak(&mut self, now: Duration, sequence: u64, delay: Duration) {
        self.settle(sequence, State::Waiting { from: now + delay });
    }

    pub(super) fn progress(&mut self, now: Duration, sequence: u64) {
        if let State::Pending { until } = &mut self.message_mut(sequence).state {
            *until = now + ACK_WAIT;
        }
    }

    /// The server takes an answer from whoever has had a delivery of the message.
    fn settle(&mut self, sequence: u64, state: State) {
        let message = self.message_mut(sequence);
        if !message.is_settled() {
            message.state = state;
        }
    }
}

impl Message {
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.state, State::Acked | State::Terminated)
    }

    fn due(&self) -> Option<Duration> {
        match self.state {
            State::Waiting { from: due } | State::Pending { until: due } => Some(due),
            State::Acked | State::Terminated => None,
        }
    }
}
