//! What a process may know of the API's health, from the answers that it got.

use std::time::Duration;

/// How long an answered probe stands.
const TRUST: Duration = Duration::from_secs(1);

/// What a process may think of the API.
#[derive(Debug, Default)]
pub(super) struct Health {
    faults: u32,
    trusted_until: Duration,
    pub(super) probing: bool,
    pub(super) away: bool,
}

impl Health {
    pub(super) fn fault(&mut self, now: Duration) {
        if !self.away && now >= self.trusted_until {
            self.faults += 1;
        }
    }

    pub(super) fn answer(&mut self) {
        (self.faults, self.away) = (0, false);
    }

    pub(super) fn probed(&mut self, now: Duration, answered: bool) {
        self.probing = false;
        if answered {
            self.answer();
            self.trusted_until = now + TRUST;
        } else {
            self.away |= self.faults >= 3;
        }
    }

    pub(super) fn may_probe(&self) -> bool {
        !self.probing && (self.away || self.faults >= 3)
    }
}
