//! What the watch has shown of one object, one change after the other: its annotation, and its syncs by ESO.
//!
//! Somebody else may own the metadata: the controller of a ClusterExternalSecret takes our annotation
//! away from what it owns at once. If ESO had no time to look, the object is as it was before, and ESO
//! never looks; if its status was reset first, ESO looks all the same (two-step refresh,
//! [`crate::kubernetes::refresh`]).

use crate::object::{RefreshMark, SyncState, SyncVersion};

#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    /// What the annotation holds now.
    pub(crate) value: Option<RefreshMark>,
    pub(crate) sync: SyncState,
    version: Option<SyncVersion>,
    /// Of the few from which one was ever taken away.
    taken: Option<Box<Taken>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    /// The last value that was taken away when ESO had a reason to look.
    kept: Option<RefreshMark>,
    /// The last value that was taken away before that.
    lost: Option<RefreshMark>,
}

impl Shown {
    /// Takes in the next change. Returns a value that was taken away before ESO looked: once for each.
    pub(crate) fn show(
        &mut self,
        value: Option<RefreshMark>,
        sync: SyncState,
        version: Option<SyncVersion>,
    ) -> Option<RefreshMark> {
        let sync = sync.after((self.sync, self.version), version);
        let untouched = version.is_some() && version == self.version;
        let unseen = match sync {
            SyncState::Returned => true,
            // Whether ESO will look cannot be told; another value of ours makes it look.
            SyncState::Unknown { .. } => untouched && value.is_none(),
            SyncState::Synced | SyncState::Waiting | SyncState::Failed => false,
        };
        let before = self.carried().filter(|before| Some(*before) != value);
        let mut again = None;
        if before.is_some() && (unseen || value.is_none()) {
            let taken = self.taken.get_or_insert_default();
            taken.kept = before.filter(|_| !unseen);
            if unseen {
                again = before.filter(|_| before != taken.lost);
                taken.lost = before;
            }
        }
        (self.value, self.sync, self.version) = (value, sync, version);
        again
    }

    /// The value for which nothing needs to be done any more: the object carries it, or has carried it
    /// until ESO had a reason to look.
    pub(crate) fn carried(&self) -> Option<RefreshMark> {
        self.value.or_else(|| self.taken.as_ref()?.kept)
    }

    /// Whether a value was ever taken away before ESO looked.
    pub(crate) fn loses_values(&self) -> bool {
        self.taken
            .as_ref()
            .is_some_and(|taken| taken.lost.is_some())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn version(hash: &str) -> SyncVersion {
        SyncVersion::of(&json!({ "syncedResourceVersion": hash }))
    }

    fn value(text: &str) -> Option<RefreshMark> {
        text.parse().ok()
    }

    const FIRST: &str = "00000000000000000001";
    const SECOND: &str = "00000000000000000002";

    #[test]
    fn a_value_taken_away_before_eso_looked_is_told_once() {
        use SyncState::{Returned, Synced, Waiting};
        let (mut shown, old) = (Shown::default(), Some(version("old")));
        assert_eq!(shown.show(None, Synced, old), None);
        for (text, lost) in [
            (FIRST, value(FIRST)),
            (FIRST, None),
            (SECOND, value(SECOND)),
        ] {
            assert_eq!(shown.show(value(text), Waiting, old), None);
            assert!(shown.carried().is_some());
            assert_eq!(shown.show(None, Synced, old), lost);
            assert_eq!((shown.sync, shown.carried()), (Returned, None));
        }
        // An older value that comes late is as bad.
        let mut shown = Shown::default();
        shown.show(value(FIRST), Synced, old);
        shown.show(value(SECOND), Waiting, old);
        assert_eq!(shown.show(value(FIRST), Synced, old), value(SECOND));
        assert_eq!(shown.carried(), value(FIRST));
        assert!(shown.loses_values());
    }

    #[test]
    fn a_value_taken_away_after_a_reset_is_as_good_as_carried() {
        use SyncState::{Synced, Waiting};
        let (old, reset) = (Some(version("old")), Some(version("")));
        let mut shown = Shown::default();
        shown.show(None, Synced, old);
        for (text, sync, version) in [
            ("", Waiting, reset),
            (FIRST, Waiting, reset),
            ("", Waiting, reset),
            ("", Synced, old),
        ] {
            assert_eq!(shown.show(value(text), sync, version), None);
            assert_eq!(shown.sync, sync);
        }
        assert_eq!((shown.value, shown.carried()), (None, value(FIRST)));
        assert!(!shown.loses_values());
    }

    #[test]
    fn an_unknown_form_of_hash_that_stays_loses_the_value() {
        let unknown = SyncState::Unknown { hash: 7 };
        let mut shown = Shown::default();
        shown.show(value(FIRST), unknown, Some(version("x")));
        assert_eq!(shown.show(value(SECOND), unknown, Some(version("x"))), None);
        assert_eq!(shown.show(None, unknown, Some(version("x"))), value(SECOND));
        shown.show(value(FIRST), unknown, Some(version("")));
        assert_eq!(shown.show(None, unknown, Some(version("y"))), None);
    }
}
