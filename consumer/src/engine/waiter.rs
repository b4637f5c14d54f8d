//! What one delivery waits for at one target.

use std::time::Duration;

use eso_relay::event::Fingerprint;

use super::{
    Urgency,
    held::{InProgress, Request, Version},
};
use crate::object::{Kept, Stage};

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) event: Fingerprint,
    pub(super) settle: Option<Duration>,
    pub(super) urgency: Urgency,
    pub(super) needs: Needs,
    /// Whether a crash brings it back: only then does it answer for others that come back.
    pub(super) durable: bool,
    /// Whether no other replica had it before: its second value then changes the object, and serves
    /// older events that settle longer.
    pub(super) lends: bool,
    /// Older events that it answers for, to be told what becomes of it.
    pub(super) answers: Vec<(Version, Fingerprint)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Needs {
    /// Its first value or a newer one.
    First,
    /// It has that: a second one from then on.
    Second { from: Duration },
}

/// A value that the object carries.
pub(super) struct Written {
    pub(super) stage: Stage,
    /// How long its event settles in its own right.
    pub(super) settle: Option<Duration>,
    /// Whether a crash brings its event back.
    pub(super) durable: bool,
    /// When it went out first, if it was the last to go out.
    pub(super) sent: Option<Duration>,
}

impl Waiter {
    /// Of a delivery that waits for the target.
    pub(super) fn new(request: &Request, delivery: &InProgress) -> Self {
        Self {
            event: request.event,
            settle: request.settle,
            urgency: request.urgency.clone(),
            needs: Needs::First,
            durable: delivery.kept != Kept::Nowhere,
            lends: delivery.attempt == 1,
            answers: Vec::new(),
        }
    }

    /// Whether nothing is lost when only this is waited for, and no longer `older`: it brings a newer
    /// value, settles as long, and is there again after a crash if `older` would be.
    pub(super) fn answers_for(&self, older: &Self) -> bool {
        older.settle <= self.settle && (self.durable || !older.durable)
    }

    pub(super) fn take_over(&mut self, mut older: Self) {
        if older.urgency > self.urgency {
            self.urgency = older.urgency;
        }
        self.answers.append(&mut older.answers);
    }

    /// Those events that it answers for.
    pub(super) fn events(self) -> impl Iterator<Item = Fingerprint> {
        self.answers.into_iter().map(|(_, event)| event)
    }

    /// Whether the value, of this event or of a newer one, is all that it needs.
    pub(super) fn is_granted(&self, written: &Written, is_older: bool) -> bool {
        let covered = self.settle <= written.settle;
        // Its own delivery answers for the second value.
        let answered = is_older && covered && (written.durable || !self.durable);
        match (written.stage, self.needs) {
            (Stage::First, _) => self.settle.is_none() || answered,
            (Stage::Settled, Needs::First) => covered,
            (Stage::Settled, Needs::Second { from }) => covered || written.sent >= Some(from),
        }
    }

    /// Has got its first value.
    pub(super) fn refreshed(&mut self, now: Duration) {
        if let (Needs::First, Some(settle)) = (self.needs, self.settle) {
            let from = now.saturating_add(settle);
            self.needs = Needs::Second { from };
        }
    }

    pub(super) fn second_from(&self) -> Option<Duration> {
        match self.needs {
            Needs::First => None,
            Needs::Second { from } => Some(from),
        }
    }
}
