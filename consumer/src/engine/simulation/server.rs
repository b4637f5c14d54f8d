//! The stream and the durable that the replicas share.

use std::{collections::BTreeSet, time::Duration};

use eso_relay::stream::ACK_WAIT;

use super::super::Urgency;

/// Before all messages.
pub(super) const GAP: u64 = 0;

#[derive(Default)]
pub(super) struct Server {
    /// The message with sequence 1 first.
    pub(super) messages: Vec<Message>,
    /// Stands for those that were removed before they were delivered. Its sequence is [`GAP`].
    pub(super) gap: Option<Message>,
    pub(super) takes_dead_letters: bool,
}

pub(super) struct Message {
    pub(super) published: Duration,
    pub(super) events: Vec<Event>,
    /// Decoding it panics.
    pub(super) poisonous: bool,
    pub(super) state: State,
    pub(super) deliveries: u64,
    /// Its dead letters, by index; `None` is for the whole message.
    pub(super) dead: BTreeSet<Option<usize>>,
}

pub(super) struct Event {
    pub(super) objects: BTreeSet<usize>,
    pub(super) undecodable: bool,
    pub(super) settle: Option<Duration>,
    pub(super) urgency: Urgency,
    /// Whether it may restart workloads.
    pub(super) restarts: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting {
        from: Duration,
    },
    Pending {
        until: Duration,
    },
    Acked,
    Terminated,
    /// By age, before it was delivered.
    Removed,
}

impl Server {
    pub(super) fn publish(&mut self, now: Duration, events: Vec<Event>, poisonous: bool) {
        self.messages.push(Message {
            poisonous,
            ..Message::new(now, events)
        });
    }

    /// How many were ever published.
    pub(super) fn published(&self) -> usize {
        self.messages.len()
    }

    /// Removes what was never delivered; `everything` must be refreshed once instead.
    pub(super) fn remove(&mut self, now: Duration, everything: Event) {
        let fresh = |message: &&mut Message| message.deliveries == 0 && message.due().is_some();
        let mut last = None;
        for message in self.messages.iter_mut().filter(fresh) {
            message.state = State::Removed;
            last = last.max(Some(message.published));
        }
        if let (Some(published), None) = (last, &self.gap) {
            // A refresh after the last of them was published reads the new values.
            self.gap = Some(Message {
                published,
                ..Message::new(now, vec![everything])
            });
        }
    }

    pub(super) fn has_gap(&self) -> bool {
        self.gap.is_some()
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = (u64, &Message)> {
        let gap = self.gap.iter().map(|gap| (GAP, gap));
        gap.chain((1..).zip(&self.messages))
    }

    pub(super) fn message(&self, sequence: u64) -> &Message {
        match (&self.gap, usize::try_from(sequence).unwrap().checked_sub(1)) {
            (_, Some(at)) => &self.messages[at],
            (Some(gap), None) => gap,
            (None, None) => panic!("there is no gap"),
        }
    }

    pub(super) fn message_mut(&mut self, sequence: u64) -> &mut Message {
        match (
            &mut self.gap,
            usize::try_from(sequence).unwrap().checked_sub(1),
        ) {
            (_, Some(at)) => &mut self.messages[at],
            (Some(gap), None) => gap,
            (None, None) => panic!("there is no gap"),
        }
    }

    pub(super) fn available(&self, now: Duration) -> Vec<u64> {
        self.messages()
            .filter(|(_, message)| message.due().is_some_and(|due| due <= now))
            .map(|(sequence, _)| sequence)
            .collect()
    }

    /// When the next message can be delivered.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.messages()
            .filter_map(|(_, message)| message.due())
            .min()
    }

    /// Returns the attempt.
    pub(super) fn deliver(&mut self, now: Duration, sequence: u64) -> u64 {
        let message = self.message_mut(sequence);
        message.state = State::Pending {
            until: now + ACK_WAIT,
        };
        message.deliveries += 1;
        // A gap is found again, without a count.
        if sequence == GAP {
            1
        } else {
            message.deliveries
        }
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

    /// The server accepts an ack from any replica that had a delivery of the message.
    fn settle(&mut self, sequence: u64, state: State) {
        let message = self.message_mut(sequence);
        if !message.is_settled() {
            message.state = state;
        }
    }
}

impl Message {
    fn new(now: Duration, events: Vec<Event>) -> Self {
        Self {
            published: now,
            events,
            poisonous: false,
            state: State::Waiting { from: now },
            deliveries: 0,
            dead: BTreeSet::new(),
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.due().is_none()
    }

    pub(super) fn is_removed(&self) -> bool {
        self.state == State::Removed
    }

    fn due(&self) -> Option<Duration> {
        match self.state {
            State::Waiting { from: due } | State::Pending { until: due } => Some(due),
            State::Acked | State::Terminated | State::Removed => None,
        }
    }
}
