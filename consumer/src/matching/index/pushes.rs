//! PushSecrets: ESO writes them to a store, and overwrites changes that others make there.
//!
//! The store sends an event for ESO's own write as well, the *echo* of a push, which must not cause another push.
//! No event says who wrote. So a change that a push overwrites anyway is skipped, and a change just after a push
//! counts as its echo:
//!
//! | the PushSecret | the event |
//! |---|---|
//! | not synced: ESO is pushing or about to push | is overwritten, or is the echo |
//! | synced; the change was before the last push | has been overwritten |
//! | synced; the change was at most [`ECHO`] after the last push | counts as its echo |
//! | synced; the change was later | matches it |
//!
//! So a redelivery costs nothing: after the first patch the object is not synced, and after the push the event is
//! older than it.

use std::collections::HashMap;

use eso_relay::event::{Event, Kind};
use jiff::{SignedDuration, Timestamp};

use super::{Index, Object};
use crate::object::{SyncState, Unrefreshable};

/// From the start of a push to the last of its events, including clock differences.
const ECHO: SignedDuration = SignedDuration::from_secs(60);

/// When each PushSecret was last pushed, by object.
#[derive(Debug, Default)]
pub(super) struct Pushes(HashMap<u32, Option<Timestamp>>);

impl Pushes {
    pub(super) fn put(&mut self, object: u32, pushed: Option<Timestamp>) {
        self.0.insert(object, pushed);
    }

    pub(super) fn remove(&mut self, object: u32) {
        self.0.remove(&object);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Index {
    /// Whether the event is an echo for the PushSecret.
    pub(super) fn push_echo(
        &self,
        id: u32,
        object: &Object,
        event: &Event,
    ) -> Option<Unrefreshable> {
        let pushed = self.pushes.0.get(&id).copied().flatten();
        // A request by hand is no echo.
        let by_hand = event.kind == Kind::RefreshRequested;
        (!by_hand && is_echo(object.shown.sync, pushed, event)).then_some(Unrefreshable::PushEcho)
    }
}

fn is_echo(sync: SyncState, pushed: Option<Timestamp>, event: &Event) -> bool {
    // Never pushed, so ESO is about to push; or an ESO without this field, whose echoes are unknown.
    let Some(pushed) = pushed else {
        return true;
    };
    match sync {
        SyncState::Waiting | SyncState::Failed => true,
        SyncState::Synced
        | SyncState::Emptied
        | SyncState::Returned
        | SyncState::Unknown { .. } => {
            // A late event often contains the time of the change.
            let received = event.received_at;
            let changed = event.time.map_or(received, |time| time.min(received));
            changed.duration_since(pushed) <= ECHO
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::event;

    #[test]
    fn overwritten_and_close_changes_are_echoes() {
        use SyncState::{Failed, Synced, Unknown, Waiting};
        let at = |text: &str| -> Timestamp { format!("2026-01-31T{text}Z").parse().unwrap() };
        let noon = Some("12:00:00");
        let unknown = Unknown { hash: 7 };
        for (sync, pushed, time, received, echo) in [
            (Synced, noon, None, "12:00:00", true),
            (Synced, noon, None, "12:01:00", true),
            (Synced, noon, None, "12:01:01", false),
            (Synced, noon, None, "11:00:00", true),
            (unknown, noon, None, "12:00:30", true),
            (unknown, noon, None, "13:00:00", false),
            // ESO is about to push anyway.
            (Waiting, noon, None, "13:00:00", true),
            (Failed, noon, None, "13:00:00", true),
            (Synced, None, None, "13:00:00", true),
            // Received late; and with a clock that is ahead.
            (Synced, noon, Some("12:00:30"), "12:20:00", true),
            (Synced, noon, Some("12:10:00"), "12:20:00", false),
            (Synced, noon, Some("13:00:00"), "12:00:30", true),
        ] {
            let event = Event {
                time: time.map(at),
                received_at: at(received),
                ..event("one")
            };
            let found = is_echo(sync, pushed.map(at), &event);
            assert_eq!(found, echo, "{sync:?} {pushed:?} {time:?} {received}");
        }
    }
}
