//! A message is not held for the fault of an object.
//!
//! Where all that a delivery still waits for are objects that fail on their own account, its message
//! goes back to the stream for a while: *parked*, it takes no room and no body, and stays un-acked. The
//! objects are tried as before. When the last of them is done, the parked message is acked; what needs
//! its body, a dead letter, recalls it.

use std::{ops::Bound, time::Duration};

use super::{Engine, Output, backoff::PARKED, held::Place, timers::Timer};
use crate::object::Sequence;

/// What was recalled and has not come for so long, which is longer than it may be parked, has come to
/// another replica.
const RECALL: Duration = Duration::from_secs(15 * 60);

impl Engine {
    /// Whether it waits for nothing but objects that fail on their own account.
    pub(super) fn is_stuck(&mut self, sequence: Sequence) -> bool {
        let in_doubt = self.breaker.is_in_doubt();
        let Some(delivery) = self.in_progress.get_mut(&sequence) else {
            return false;
        };
        let is_going = |target: &&_| {
            let work = self.targets.get(*target);
            work.is_none_or(|work| !work.is_stuck(in_doubt))
        };
        // From where the last look ended: a delivery may wait for very many.
        let last = delivery.going.as_ref();
        let from = (
            last.map_or(Bound::Unbounded, Bound::Included),
            Bound::Unbounded,
        );
        let rest = delivery.open.range(from).map(|(target, _)| target);
        let all = rest.chain(delivery.open.keys());
        let going = all.into_iter().find(is_going).cloned();
        delivery.going = going;
        delivery.going.is_none()
    }

    pub(super) fn park(&mut self, now: Duration, sequence: Sequence) {
        let Some(delivery) = self.in_progress.get_mut(&sequence) else {
            return;
        };
        if delivery.due <= now {
            return self.give_up(now, sequence);
        }
        delivery.place = Place::Parked;
        self.parked += 1;
        self.timers.cancel(&Timer::Progress(sequence));
        let delay = PARKED.delay(delivery.attempt, &mut self.rng);
        self.outputs.push_back(Output::Park { sequence, delay });
    }

    /// It has come again.
    pub(super) fn unpark(&mut self, sequence: Sequence) {
        if let Some(delivery) = self.in_progress.get_mut(&sequence)
            && delivery.place != Place::Here
        {
            delivery.place = Place::Here;
            self.parked -= 1;
        }
    }

    /// It is to come again at once, for its body.
    pub(super) fn recall(&mut self, now: Duration, sequence: Sequence) {
        if self.stopping {
            self.hand_back(now, sequence);
        } else if let Some(delivery) = self.in_progress.get_mut(&sequence)
            && delivery.place == Place::Parked
        {
            delivery.place = Place::Recalled;
            let until = now.saturating_add(RECALL);
            self.timers.set(Timer::GiveUp(sequence), until);
            self.outputs.push_back(Output::Recall(sequence));
        }
    }
}
