//! The events of a moment ago, for what the watch shows late.
//!
//! An object that was made just before its secret changed may be read by ESO before the change and be
//! shown by the watch after the event. Then the event found nobody, and nothing else would refresh the
//! object before its `refreshInterval`.

use std::{collections::VecDeque, time::Duration};

use eso_relay::Event;

use crate::{object::Sequence, stream::Received};

/// Longer than a watch takes to begin anew (`kubernetes/watch.rs`).
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// The most events, some 1 KiB each.
const MOST: usize = 4096;

/// A message that was taken.
pub(super) struct Taken {
    pub(super) message: Received,
    /// Those that could be read, each with its place in the message.
    pub(super) events: Vec<(usize, Event)>,
    at: Duration,
}

/// Oldest first.
#[derive(Default)]
pub(super) struct Recent {
    messages: VecDeque<Taken>,
    events: usize,
}

impl Taken {
    fn is_old(&self, now: Duration) -> bool {
        self.at.saturating_add(LONGEST) < now
    }
}

impl Recent {
    pub(super) fn push(&mut self, now: Duration, message: Received, events: Vec<(usize, Event)>) {
        self.events += events.len();
        let at = now;
        self.messages.push_back(Taken {
            message,
            events,
            at,
        });
        self.tidy(now);
    }

    /// Nothing older than [`LONGEST`].
    pub(super) fn since(&self, now: Duration) -> impl Iterator<Item = &Taken> {
        let old = move |taken: &&Taken| taken.is_old(now);
        self.messages.iter().skip_while(old)
    }

    /// The message will be delivered again, and be matched then.
    pub(super) fn forget(&mut self, sequence: Sequence) {
        self.messages
            .retain(|taken| taken.message.sequence != sequence);
        self.events = self.messages.iter().map(|taken| taken.events.len()).sum();
    }

    fn tidy(&mut self, now: Duration) {
        while let Some(first) = self.messages.front()
            && (first.is_old(now) || self.events > MOST)
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
        push(&mut recent, LONGEST, 1);
        assert_eq!(recent.since(LONGEST).count(), 2);
        assert_eq!(recent.since(LONGEST + Duration::from_millis(1)).count(), 1);
        assert_eq!(recent.messages.len(), 2, "nothing has come since");
        recent.forget(1);
        assert_eq!((recent.messages.len(), recent.events), (0, 0));
        for _ in 0..3 {
            push(&mut recent, LONGEST, MOST / 2);
        }
        assert_eq!((recent.messages.len(), recent.events), (2, MOST));
        push(&mut recent, LONGEST, MOST + 1);
        assert_eq!((recent.messages.len(), recent.events), (0, 0));
    }
}
