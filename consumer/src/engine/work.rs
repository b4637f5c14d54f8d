//! What is to be done to one target.

use std::collections::BTreeMap;

use eso_relay::event::Fingerprint;

use super::{held::Version, lane::Ticket};
use crate::outcome::Fault;

/// Exists for as long as a delivery waits for the target or a patch of it is in flight.
#[derive(Debug)]
pub(super) struct Work {
    /// What the deliveries wait for. The last is the pending value; the others are released with it.
    pub(super) waiting: BTreeMap<Version, Fingerprint>,
    pub(super) phase: Phase,
    /// Of one kind and in a row.
    faults: Option<(Fault, u64)>,
    /// The latest fault, for people.
    pub(super) error: Option<String>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    /// In the lane's queue.
    Ready(Ticket),
    /// This is in flight.
    Patching {
        version: Version,
        value: Fingerprint,
    },
    /// Until its timer fires.
    Resting,
}

impl Work {
    pub(super) fn new(ticket: Ticket) -> Self {
        Self {
            waiting: BTreeMap::new(),
            phase: Phase::Ready(ticket),
            faults: None,
            error: None,
        }
    }

    pub(super) fn pending(&self) -> Option<(Version, Fingerprint)> {
        self.waiting
            .last_key_value()
            .map(|(version, value)| (*version, *value))
    }

    /// Which of the values waited for this is.
    pub(super) fn version_of(&self, value: Fingerprint) -> Option<Version> {
        let mut newest_first = self.waiting.iter().rev();
        newest_first
            .find(|(_, waited)| **waited == value)
            .map(|(version, _)| *version)
    }

    /// Takes out everything that is no newer than `done`.
    pub(super) fn take_up_to(&mut self, done: Version) -> Vec<Version> {
        let mut taken = Vec::new();
        while let Some(first) = self.waiting.first_entry() {
            if *first.key() > done {
                break;
            }
            taken.push(first.remove_entry().0);
        }
        taken
    }

    /// Counts a fault: how many of its kind there have been in a row.
    pub(super) fn failed(&mut self, fault: Fault, error: String) -> u64 {
        let count = match self.faults {
            Some((last, count)) if last == fault => count + 1,
            _ => 1,
        };
        self.faults = Some((fault, count));
        self.error = Some(error);
        count
    }

    pub(super) fn rests_for(&self, fault: Fault) -> bool {
        let last = self.faults.map(|(last, _)| last);
        matches!(self.phase, Phase::Resting) && last == Some(fault)
    }

    pub(super) fn answered(&mut self) {
        self.faults = None;
        self.error = None;
    }
}
