//! PushSecrets: what ESO writes to a store, and writes again over what somebody else has written there.
//!
//! The store tells of ESO's own write as well: the *echo* of a push, which must not make it push again.
//! Nothing in an event says who wrote. So what is certain to be overwritten is left alone, and what
//! follows a push closely is taken for its echo:
//!
//! | the PushSecret | the event |
//! |---|---|
//! | not synced as it is: ESO is about to push, or pushes just now | is overwritten, or is the echo |
//! | synced; the change was before the last push | has been overwritten |
//! | synced; the change was at most [`ECHO`] after the last push | counts as its echo |
//! | synced; the change was later | means it |
//!
//! So a redelivery and what waits behind it cost nothing: after the first patch the object is not synced,
//! and after the push the event is older than that.

use std::collections::HashMap;

use eso_relay::event::{Event, Kind};
use jiff::{SignedDuration, Timestamp};

use super::{Index, Object};
use crate::object::{SyncState, Unrefreshable};

/// From the beginning of a push to the last of its events, by the clocks of ESO and of who tells.
const ECHO: SignedDuration = SignedDuration::from_secs(60);

/// When each PushSecret was pushed last, by object.
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
    /// Whether the PushSecret is not to be pushed for the event.
    pub(super) fn push_echo(
        &self,
        id: u32,
        object: &Object,
        event: &Event,
    ) -> Option<Unrefreshable> {
        let pushed = self.pushes.0.get(&id).copied().flatten();
        // No store tells of what a person asks for.
        let by_hand = event.kind == Kind::RefreshRequested;
        (!by_hand && is_echo(object.shown.sync, pushed, event)).then_some(Unrefreshable::PushEcho)
    }
}

fn is_echo(sync: SyncState, pushed: Option<Timestamp>, event: &Event) -> bool {
    // Never pushed, and so about to be; or an ESO that does not say when, whose echoes nobody can tell.
    let Some(pushed) = pushed else {
        return true;
    };
    match sync {
        SyncState::Waiting | SyncState::Failed => true,
        SyncState::Synced | SyncState::Returned | SyncState::Unknown { .. } => {
            // Who tells late often says when it was.
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
    fn what_a_push_overwrites_and_what_follows_it_closely_is_its_echo() {
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
            // ESO is going to push, whatever the event.
            (Waiting, noon, None, "13:00:00", true),
            (Failed, noon, None, "13:00:00", true),
            (Synced, None, None, "13:00:00", true),
            // Told late; and by a clock that is ahead.
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
