//! The state of one object, as the watch has shown it: its mark, and its syncs by ESO.
//!
//! Another controller may own the metadata: that of a ClusterExternalSecret removes the refresh annotation from its
//! objects at once. If that was before ESO looked, the object is as before, and ESO does not refresh it; if its status
//! was reset first, ESO does (two-step refresh, [`crate::kubernetes::refresh`]).

use crate::object::{RefreshMark, SyncState, SyncVersion};

#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    /// The mark in the annotation.
    pub(crate) value: Option<RefreshMark>,
    pub(crate) sync: SyncState,
    version: Option<SyncVersion>,
    /// Only for the few objects from which a mark was ever removed.
    removed: Option<Box<Removed>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Removed {
    /// The last mark that was removed after ESO had a reason to look.
    kept: Option<RefreshMark>,
    /// The last mark that was removed before that.
    lost: Option<RefreshMark>,
}

impl Shown {
    /// Applies the next change. Returns a mark that was removed before ESO looked: once for each.
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
            // Unknown whether ESO will look; a new mark would make it look.
            SyncState::Unknown { .. } => untouched && value.is_none(),
            SyncState::Synced | SyncState::Emptied | SyncState::Waiting | SyncState::Failed => {
                false
            }
        };
        let before = self.carried().filter(|before| Some(*before) != value);
        let mut again = None;
        if before.is_some() && (unseen || value.is_none()) {
            let removed = self.removed.get_or_insert_default();
            removed.kept = before.filter(|_| !unseen);
            if unseen {
                again = before.filter(|_| before != removed.lost);
                removed.lost = before;
            }
        }
        (self.value, self.sync, self.version) = (value, sync, version);
        again
    }

    /// The mark that is done: the object carries it, or carried it until ESO had a reason to look.
    pub(crate) fn carried(&self) -> Option<RefreshMark> {
        self.value.or_else(|| self.removed.as_ref()?.kept)
    }

    /// Whether a mark was ever removed before ESO looked.
    pub(crate) fn loses_values(&self) -> bool {
        self.removed
            .as_ref()
            .is_some_and(|removed| removed.lost.is_some())
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
