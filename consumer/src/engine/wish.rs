//! What one delivery waits for at one target.

use std::time::Duration;

use eso_relay::event::Fingerprint;

use super::Urgency;
use crate::value::Stage;

#[derive(Debug)]
pub(super) struct Wish {
    pub(super) event: Fingerprint,
    pub(super) settle: Option<Duration>,
    pub(super) urgency: Urgency,
    pub(super) needs: Needs,
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
    /// When it went out first, if it was the last to go out.
    pub(super) sent: Option<Duration>,
}

impl Wish {
    pub(super) fn new(event: Fingerprint, settle: Option<Duration>, urgency: Urgency) -> Self {
        Self {
            event,
            settle,
            urgency,
            needs: Needs::First,
        }
    }

    /// Whether the value, of this event or of a newer one, is all that it needs.
    pub(super) fn is_granted(&self, written: &Written, is_older: bool) -> bool {
        // That event settles as long, and its own delivery answers for the second value.
        let covered = self.settle <= written.settle;
        match (written.stage, self.needs) {
            (Stage::First, _) => covered && (is_older || self.settle.is_none()),
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
