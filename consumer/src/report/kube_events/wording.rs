//! What a note says.

use super::{Note, What};
use crate::object::Unrefreshable;

/// The API takes no longer text (`apis/core/validation/events.go`, `NoteLengthLimit`).
#[cfg(test)]
pub(super) const MAX_TEXT: usize = 1024;

impl Note {
    /// One word for what happened, as it stands below `Reason`.
    pub(super) fn reason(&self) -> &'static str {
        match self.what {
            What::Refreshed { .. } => "Refreshed",
            What::Failed { .. } => "RefreshFailed",
            What::Silent { .. } | What::PassedOver { .. } => "RefreshSilent",
            What::NotRefreshable(_) => "NotRefreshable",
        }
    }

    /// Whether the object is not as its spec wants it. Who reads a secret once, or one version of it,
    /// may want just that.
    pub(super) fn is_warning(&self) -> bool {
        match self.what {
            What::Refreshed { .. } => false,
            What::Failed { .. } | What::Silent { .. } | What::PassedOver { .. } => true,
            What::NotRefreshable(reason) => reason == Unrefreshable::StoreDeniesNamespace,
        }
    }

    /// What happened, what it means, and what to do about it.
    pub(super) fn text(&self) -> String {
        let event = self.event;
        let event = match &self.source {
            Some(source) => format!("event {event} of source {source}"),
            None => format!("event {event}"),
        };
        match self.what {
            What::Refreshed { after } => {
                format!("Refreshed for {event}: ESO has synced it {after:.1?} after the patch")
            }
            What::Failed { after } => format!(
                "ESO has failed to sync it, {after:.1?} after the patch for {event}: the condition Ready \
                 says why. The old value may still be in use; ESO tries again by itself"
            ),
            What::Silent { after } => format!(
                "ESO has said nothing for {after:.1?} since the patch for {event}: it is away, has too \
                 much to do, or passes this object over (a store that is not ready, or of another \
                 controller class). The old value may still be in use"
            ),
            What::PassedOver { after } => format!(
                "ESO has said nothing for {after:.1?} since the patch for {event}: its owner has taken the \
                 annotation away again, or its policy keeps ESO from reading again. The old value may \
                 still be in use. To have it refreshed, grant eso-relay `patch` on `externalsecrets/status`"
            ),
            What::NotRefreshable(reason) => format!(
                "Not refreshed for {event} ({reason}): ESO would not read the secret anew. To have it \
                 refreshed, {}",
                reason.advice()
            ),
        }
    }
}
