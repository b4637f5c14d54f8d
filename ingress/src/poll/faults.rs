//! What cannot be read, path by path: each change is logged once.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use tracing::{error, info, warn};

use super::{Poller, metrics::Failure};

/// Why a path was not read, of a store that works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    Missing,
    /// The status of the answer.
    Denied(u16),
}

/// The paths that could not be read when they were looked at last.
#[derive(Default)]
pub(super) struct Faults(Mutex<BTreeMap<String, (Unread, Seen)>>);

/// Whether this pass has met it; what it does not meet any more is forgotten at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Now,
    Before,
}

impl Faults {
    fn set(&self, path: &str, unread: Unread) -> bool {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = faults.insert(path.to_owned(), (unread, Seen::Now));
        before.is_none_or(|(before, _)| before != unread)
    }

    fn clear(&self, path: &str) -> bool {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.remove(path).is_some()
    }

    /// At the end of a pass.
    pub(super) fn end_pass(&self) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.retain(|_, (_, seen)| std::mem::replace(seen, Seen::Before) == Seen::Now);
    }
}

impl Poller {
    /// A path could not be read.
    pub(super) fn unread(&self, path: &str, unread: Unread) {
        let poll = &self.settings.name;
        let failure = match unread {
            Unread::Missing => Failure::Missing,
            Unread::Denied(status) if status >= 500 => Failure::Unreachable,
            Unread::Denied(_) => Failure::Denied,
        };
        self.metrics.failed(poll, failure);
        if !self.faults.set(path, unread) {
            return;
        }
        match unread {
            Unread::Missing if self.settings.ignore_missing => {
                warn!(%poll, path, "a polled secret does not exist");
            }
            Unread::Missing => error!(%poll, path, "a polled secret does not exist"),
            Unread::Denied(status) => {
                error!(%poll, path, status, "cannot read the metadata of a polled secret");
            }
        }
    }

    /// A path was read.
    pub(super) fn read(&self, path: &str) {
        if self.faults.clear(path) {
            info!(poll = %self.settings.name, path, "a polled secret can be read again");
        }
    }
}
