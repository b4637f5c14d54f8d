//! The objects that ESO has not synced since their last patch, as far as this process has seen it.

use std::collections::HashMap;

use super::metrics::{SyncResult, Why};
use crate::object::{ObjectRef, SyncState};

/// Bounded by the objects of the cluster: those that are gone are removed.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    objects: HashMap<ObjectRef, Known>,
    failed: usize,
    silent: usize,
}

#[derive(Debug)]
struct Known {
    why: Why,
    /// The hash of an unknown form that was shown since.
    hash: Option<SyncState>,
}

impl Unsynced {
    /// What ESO did after a patch.
    pub(super) fn ended(&mut self, target: &ObjectRef, result: SyncResult) {
        let why = match result {
            SyncResult::synced => return self.remove(target),
            SyncResult::failed => Why::failed,
            SyncResult::silent => Why::silent,
        };
        self.remove(target);
        let hash = None;
        self.objects.insert(target.clone(), Known { why, hash });
        *self.count_of(why) += 1;
    }

    /// The watch has shown the object: ESO retries by itself, and may have synced it since. Returns whether it has.
    pub(super) fn observed(&mut self, target: &ObjectRef, sync: SyncState) -> bool {
        let Some(known) = self.objects.get_mut(target) else {
            return false;
        };
        let is_synced = match sync {
            SyncState::Synced | SyncState::Emptied => true,
            SyncState::Unknown { .. } => known.hash.replace(sync).is_some_and(|it| it != sync),
            SyncState::Waiting | SyncState::Failed | SyncState::Returned => false,
        };
        if is_synced {
            self.remove(target);
        }
        is_synced
    }

    pub(super) fn remove(&mut self, target: &ObjectRef) {
        if let Some(known) = self.objects.remove(target) {
            *self.count_of(known.why) -= 1;
        }
    }

    /// How many of each.
    pub(super) fn counts(&self) -> [(Why, usize); 2] {
        [(Why::failed, self.failed), (Why::silent, self.silent)]
    }

    fn count_of(&mut self, why: Why) -> &mut usize {
        match why {
            Why::failed => &mut self.failed,
            Why::silent => &mut self.silent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str) -> ObjectRef {
        ObjectRef::new("team", name)
    }

    #[test]
    fn an_object_counts_until_eso_has_synced_it() {
        let mut unsynced = Unsynced::default();
        let counts = |unsynced: &Unsynced| unsynced.counts().map(|(_, count)| count);
        unsynced.ended(&target("a"), SyncResult::failed);
        unsynced.ended(&target("b"), SyncResult::silent);
        unsynced.ended(&target("c"), SyncResult::synced);
        assert_eq!(counts(&unsynced), [1, 1]);
        // Another event, with the same end.
        unsynced.ended(&target("a"), SyncResult::silent);
        assert_eq!(counts(&unsynced), [0, 2]);
        for state in [SyncState::Waiting, SyncState::Failed] {
            unsynced.observed(&target("a"), state);
        }
        assert_eq!(counts(&unsynced), [0, 2]);
        unsynced.observed(&target("a"), SyncState::Synced);
        unsynced.observed(&target("never patched"), SyncState::Synced);
        assert_eq!(counts(&unsynced), [0, 1]);
        unsynced.ended(&target("b"), SyncResult::synced);
        assert_eq!(counts(&unsynced), [0, 0]);
    }

    #[test]
    fn an_object_that_is_gone_does_not_count() {
        let mut unsynced = Unsynced::default();
        unsynced.ended(&target("a"), SyncResult::failed);
        unsynced.remove(&target("a"));
        unsynced.remove(&target("a"));
        assert_eq!(unsynced.counts(), [(Why::failed, 0), (Why::silent, 0)]);
        assert!(unsynced.objects.is_empty());
    }

    #[test]
    fn a_hash_of_an_unknown_form_is_a_sync_when_it_changes() {
        let mut unsynced = Unsynced::default();
        unsynced.ended(&target("a"), SyncResult::silent);
        for hash in [1, 1] {
            unsynced.observed(&target("a"), SyncState::Unknown { hash });
            assert_eq!(unsynced.silent, 1);
        }
        unsynced.observed(&target("a"), SyncState::Unknown { hash: 2 });
        assert_eq!(unsynced.silent, 0);
    }
}
