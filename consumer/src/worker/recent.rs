//! The recent events, for objects that the watch shows late.
//!
//! ESO may read a new object just before its secret changes, and the watch may show the object just after
//! the event. Then the event did not match it, and nothing else would refresh it before its
//! `refreshInterval`.

use std::{collections::VecDeque, time::Duration};

use eso_relay::Event;

use crate::{object::Sequence, stream::Message};

/// Longer than a restart of a watch takes (`kubernetes/watch.rs`).
const MAX_AGE: Duration = Duration::from_secs(5 * 60);
/// The most events, some 1 KiB each.
const MAX_EVENTS: usize = 4096;

/// A message that was accepted.
pub(super) struct RecentMessage {
    pub(super) message: Message,
    /// Those that could be decoded, each with its index in the message.
    pub(super) events: Vec<(usize, Event)>,
    at: Duration,
}

/// Oldest first.
#[derive(Default)]
pub(super) struct Recent {
    messages: VecDeque<RecentMessage>,
    events: usize,
}

impl RecentMessage {
    fn is_old(&self, now: Duration) -> bool {
        self.at.saturating_add(MAX_AGE) < now
    }
}

impl Recent {
    pub(super) fn push(&mut self, now: Duration, message: Message, events: Vec<(usize, Event)>) {
        self.events += events.len();
        let at = now;
        self.messages.push_back(RecentMessage {
            message,
            events,
            at,
        });
        self.tidy(now);
    }

    /// Nothing older than [`MAX_AGE`].
    pub(super) fn since(&self, now: Duration) -> impl Iterator<Item = &RecentMessage> {
        let old = move |taken: &&RecentMessage| taken.is_old(now);
        self.messages.iter().skip_while(old)
    }

    /// The message will be redelivered, and matched then.
    pub(super) fn forget(&mut self, sequence: Sequence) {
        self.messages
            .retain(|taken| taken.message.sequence != sequence);
        self.events = self.messages.iter().map(|taken| taken.events.len()).sum();
    }

    fn tidy(&mut self, now: Duration) {
        while let Some(first) = self.messages.front()
            && (first.is_old(now) || self.events > MAX_EVENTS)
        {
            self.events -= first.events.len();
            self.messages.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{event, received};

    fn push(recent: &mut Recent, now: Duration, events: usize) {
        let events = (0..events).map(|at| (at, event("e"))).collect();
        recent.push(now, received(1), events);
    }

    #[test]
    fn it_holds_what_is_young_and_never_more_than_its_bound() {
        let mut recent = Recent::default();
        push(&mut recent, Duration::ZERO, 1);
        push(&mut recent, MAX_AGE, 1);
        assert_eq!(recent.since(MAX_AGE).count(), 2);
        assert_eq!(recent.since(MAX_AGE + Duration::from_millis(1)).count(), 1);
        assert_eq!(recent.messages.len(), 2, "nothing has come since");
        recent.forget(1);
        assert_eq!((recent.messages.len(), recent.events), (0, 0));
        for _ in 0..3 {
            push(&mut recent, MAX_AGE, MAX_EVENTS / 2);
        }
        assert_eq!((recent.messages.len(), recent.events), (2, MAX_EVENTS));
        push(&mut recent, MAX_AGE, MAX_EVENTS + 1);
        assert_eq!((recent.messages.len(), recent.events), (0, 0));
    }
}
