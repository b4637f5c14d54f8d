//! Limits the notes: no repetition, and not too many.

use std::{collections::HashMap, time::Duration};

use super::{Fact, Note};
use crate::{object::Uid, report::metrics::EventResult};

/// How long the same fact about the same object is not repeated.
pub(super) const AGAIN: Duration = Duration::from_secs(5 * 60);
/// The same for a fact that holds until the object is edited: as long as the API keeps an Event by default
/// (kube-apiserver, `--event-ttl`). So the Event exists whenever an event has matched the object within the
/// last hour.
pub(super) const HOLDS: Duration = Duration::from_secs(60 * 60);
/// How long nothing is written in a namespace that denied it.
pub(super) const DENIED: Duration = Duration::from_secs(5 * 60);

/// Five Events a second on average: an API server keeps each for an hour.
const INTERVAL: Duration = Duration::from_millis(200);
/// The most at once; the last half is reserved for warnings.
pub(super) const BURST: u32 = 100;

/// The most facts that are remembered, 40 bytes each: twice as many as can be written within [`HOLDS`], so
/// that a search for expired ones is rare.
pub(super) const MAX_WRITTEN: usize = 2 * (BURST as usize + 5 * 3600);
/// The most denying namespaces that are remembered.
pub(super) const MAX_DENIED: usize = 1024;

/// Fact was told, and where nothing can be. No I/O, no clock: `now` is the time since any beginning.
#[derive(Debug, Default)]
pub(crate) struct NoteLimiter {
    /// By object and name of the fact: until when it is not repeated.
    written: HashMap<(Uid, &'static str), Duration>,
    /// By namespace: until when nothing is written.
    denied: HashMap<String, Duration>,
    /// A token bucket, as the time at which it is full again.
    full_at: Duration,
}

impl NoteLimiter {
    /// Whether to write the note now; if not, why. The result of one that is written goes to [`Self::ended`].
    pub(crate) fn admit(&mut self, now: Duration, note: &Note) -> Result<(), EventResult> {
        let lasts = |until: &Duration| *until > now;
        if self.denied.get(note.namespace()).is_some_and(lasts) {
            return Err(EventResult::denied);
        }
        if self.written.get(&fact(note)).is_some_and(lasts) {
            return Err(EventResult::repeated);
        }
        let burst = if note.is_warning() { BURST } else { BURST / 2 };
        let full_at = self.full_at.max(now) + INTERVAL;
        if full_at > now + INTERVAL * burst {
            return Err(EventResult::limited);
        }
        self.full_at = full_at;
        if self.written.len() >= MAX_WRITTEN {
            self.written.retain(|_, until| *until > now);
        }
        let quiet = match note.fact {
            Fact::NotRefreshable(_) => HOLDS,
            Fact::Restarted { .. }
            | Fact::RestartSkipped(_)
            | Fact::RolloutFailed { .. }
            | Fact::Refreshed { .. }
            | Fact::Failed { .. }
            | Fact::Silent { .. }
            | Fact::PassedOver { .. } => AGAIN,
        };
        self.written.insert(fact(note), now + quiet);
        Ok(())
    }

    /// Takes the result: a fact that was not written may be written the next time.
    pub(crate) fn ended(&mut self, now: Duration, note: &Note, result: EventResult) {
        match result {
            EventResult::written | EventResult::already_there => return,
            EventResult::denied => {
                if self.denied.len() >= MAX_DENIED {
                    self.denied.clear();
                }
                self.denied
                    .insert(note.namespace().to_owned(), now + DENIED);
            }
            EventResult::failed | EventResult::repeated | EventResult::limited => {}
        }
        self.written.remove(&fact(note));
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> [usize; 2] {
        [self.written.len(), self.denied.len()]
    }
}

fn fact(note: &Note) -> (Uid, &'static str) {
    (note.uid, note.fact.name())
}
