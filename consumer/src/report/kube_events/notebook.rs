//! Which notes are worth an Event: not the same twice, and not too many.

use std::{collections::HashMap, time::Duration};

use super::{Note, Told, What};
use crate::object::Uid;

/// Before the same is told of the same object again.
pub(super) const AGAIN: Duration = Duration::from_secs(5 * 60);
/// The same, of what holds until somebody edits it: as long as the API keeps an Event by default
/// (kube-apiserver, `--event-ttl`). Told again after that, it is there to be seen whenever an event
/// has meant the object within the last hour, and where Events are kept for longer it is there already.
pub(super) const HOLDS: Duration = Duration::from_secs(60 * 60);
/// Before another try in a namespace where it was denied.
pub(super) const DENIED: Duration = Duration::from_secs(5 * 60);

/// Five Events a second in the long run: an API server keeps each for an hour.
const INTERVAL: Duration = Duration::from_millis(200);
/// The most at once, of which the last half is for warnings.
pub(super) const BURST: u32 = 100;

/// The most that is remembered: twice what can be told within [`HOLDS`], 36,200 facts of 40 bytes, so
/// that what is over is looked for once in many times.
pub(super) const MAX_TOLD: usize = 2 * (BURST as usize + 5 * 3600);
/// Namespaces whose denial is remembered; more are tried again early.
pub(super) const MAX_DENIED: usize = 1024;

/// What was told, and where nothing can be. No I/O, no clock: `now` is the time since any beginning.
#[derive(Debug, Default)]
pub struct Notebook {
    /// By object and name of the fact: until when it is not told again.
    told: HashMap<(Uid, &'static str), Duration>,
    /// By namespace: until when it is not tried.
    denied: HashMap<String, Duration>,
    /// A token bucket, as the time at which it is full again.
    full_at: Duration,
}

impl Notebook {
    /// Whether it is to be written now; if not, why.
    ///
    /// What was let through needs [`Self::ended`].
    pub fn admit(&mut self, now: Duration, note: &Note) -> Result<(), Told> {
        let lasts = |until: &Duration| *until > now;
        if self.denied.get(note.namespace()).is_some_and(lasts) {
            return Err(Told::denied);
        }
        if self.told.get(&fact(note)).is_some_and(lasts) {
            return Err(Told::repeated);
        }
        let burst = if note.is_warning() { BURST } else { BURST / 2 };
        let full_at = self.full_at.max(now) + INTERVAL;
        if full_at > now + INTERVAL * burst {
            return Err(Told::limited);
        }
        self.full_at = full_at;
        if self.told.len() >= MAX_TOLD {
            self.told.retain(|_, until| *until > now);
        }
        let quiet = match note.what {
            What::NotRefreshable(_) => HOLDS,
            What::Refreshed { .. }
            | What::Failed { .. }
            | What::Silent { .. }
            | What::PassedOver { .. } => AGAIN,
        };
        self.told.insert(fact(note), now + quiet);
        Ok(())
    }

    /// What became of it: what was not told may be told the next time.
    pub fn ended(&mut self, now: Duration, note: &Note, told: Told) {
        match told {
            Told::written | Told::already_there => return,
            Told::denied => {
                if self.denied.len() >= MAX_DENIED {
                    self.denied.clear();
                }
                self.denied
                    .insert(note.namespace().to_owned(), now + DENIED);
            }
            Told::failed | Told::repeated | Told::limited => {}
        }
        self.told.remove(&fact(note));
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> [usize; 2] {
        [self.told.len(), self.denied.len()]
    }
}

fn fact(note: &Note) -> (Uid, &'static str) {
    (note.uid, note.what.name())
}
