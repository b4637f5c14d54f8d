//! The wording of a note.

use super::{Fact, Note};
use crate::object::Unrefreshable;

/// The API accepts no longer text (`apis/core/validation/events.go`, `NoteLengthLimit`).
#[cfg(test)]
pub(super) const MAX_TEXT: usize = 1024;

impl Note {
    /// One word: the column `Reason`.
    pub(super) fn reason(&self) -> &'static str {
        match self.fact {
            Fact::Refreshed { .. } => "Refreshed",
            Fact::Failed { .. } => "RefreshFailed",
            Fact::Silent { .. } | Fact::PassedOver { .. } => "RefreshSilent",
            Fact::NotRefreshable(_) => "NotRefreshable",
        }
    }

    /// Whether the object may not be as its spec wants it. A secret that is read once, or in one version, may
    /// be intended.
    pub(super) fn is_warning(&self) -> bool {
        match self.fact {
            Fact::Refreshed { .. } => false,
            Fact::Failed { .. } | Fact::Silent { .. } | Fact::PassedOver { .. } => true,
            Fact::NotRefreshable(reason) => reason == Unrefreshable::StoreDeniesNamespace,
        }
    }

    /// What happened, what it means, and what to do about it.
    pub(super) fn text(&self) -> String {
        let event = self.event;
        let event = match &self.source {
            Some(source) => format!("event {event} of source {source}"),
            None => format!("event {event}"),
        };
        match self.fact {
            Fact::Refreshed { after } => {
                format!("Refreshed for {event}: ESO has synced it {after:.1?} after the patch")
            }
            Fact::Failed { after } => format!(
                "ESO has failed to sync it, {after:.1?} after the patch for {event}: see the condition \
                 Ready. The old value may still be in use; ESO retries by itself"
            ),
            Fact::Silent { after } => format!(
                "ESO has not updated the status for {after:.1?} since the patch for {event}: it is not \
                 running, is overloaded, or skips this object (its store is not ready, or has another \
                 controller class). The old value may still be in use"
            ),
            Fact::PassedOver { after } => format!(
                "ESO has not updated the status for {after:.1?} since the patch for {event}: its owner has \
                 removed the annotation, or its policy keeps ESO from reading again. The old value may \
                 still be in use. To have it refreshed, grant eso-relay `patch` on `externalsecrets/status`"
            ),
            Fact::NotRefreshable(reason) => format!(
                "Not refreshed for {event} ({reason}): ESO would not read the secret again. To have it \
                 refreshed, {}",
                reason.advice()
            ),
        }
    }
}
