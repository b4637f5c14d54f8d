//! Events that matched objects which a store or their namespace denies, until it allows them.
//!
//! ESO reads nothing for such an object. When the store allows it, ESO may still have no reason to read:
//! because of its policy, or because its interval has not elapsed. So the newest event that matched the
//! object is kept in memory, and matched again then.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use eso_relay::Event;

use crate::{
    matching::index::Skipped,
    object::{ObjectRef, Sequence, Unrefreshable},
    stream::Message,
};

/// The most events that are kept, some 1 KiB each; then the oldest are dropped.
const MAX_EVENTS: usize = 4096;

type Events = Vec<(usize, Event)>;

#[derive(Default)]
pub(super) struct Denied {
    messages: BTreeMap<Sequence, DeniedMessage>,
    /// By object, the newest message that matched it.
    of: HashMap<ObjectRef, Sequence>,
    events: usize,
}

struct DeniedMessage {
    received: Message,
    events: Arc<Events>,
    targets: BTreeSet<ObjectRef>,
}

impl Denied {
    /// Keeps the events of a message that matched denied objects.
    pub(super) fn note(
        &mut self,
        message: &Message,
        events: &[(usize, Event)],
        skipped: &[(usize, Skipped)],
    ) {
        let denied = |skipped: &Skipped| match skipped.reason {
            Unrefreshable::StoreDeniesNamespace
            | Unrefreshable::NotPermitted
            | Unrefreshable::ForeignController => true,
            Unrefreshable::Deleting
            | Unrefreshable::Ignored
            | Unrefreshable::NotSelected
            | Unrefreshable::CreatedOnce
            | Unrefreshable::IntervalZero
            | Unrefreshable::Immutable
            | Unrefreshable::Generator
            | Unrefreshable::FindNotSupported
            | Unrefreshable::PinnedVersion
            | Unrefreshable::PushEcho => false,
        };
        let mut places = BTreeSet::new();
        let mut targets = BTreeSet::new();
        for (place, skipped) in skipped.iter().filter(|(_, skipped)| denied(skipped)) {
            places.insert(*place);
            targets.insert(skipped.target.clone());
        }
        if targets.is_empty() {
            return;
        }
        for target in &targets {
            self.forget(target);
            self.of.insert(target.clone(), message.sequence);
        }
        let of_them = events.iter().filter(|(place, _)| places.contains(place));
        let events: Events = of_them.cloned().collect();
        self.events += events.len();
        let message = DeniedMessage {
            received: message.clone(),
            events: Arc::new(events),
            targets,
        };
        if let Some(before) = self.messages.insert(message.received.sequence, message) {
            self.drop_message(&before);
        }
        while self.events > MAX_EVENTS
            && let Some((_, oldest)) = self.messages.pop_first()
        {
            self.drop_message(&oldest);
        }
    }

    /// The messages kept for these objects, each with those that it matched.
    pub(super) fn of(
        &self,
        targets: &BTreeSet<ObjectRef>,
    ) -> Vec<(Message, Arc<Events>, BTreeSet<ObjectRef>)> {
        let mut kept = BTreeMap::<Sequence, BTreeSet<ObjectRef>>::new();
        for target in targets {
            if let Some(sequence) = self.of.get(target) {
                kept.entry(*sequence).or_default().insert(target.clone());
            }
        }
        let mut messages = Vec::new();
        for (sequence, targets) in kept {
            if let Some(message) = self.messages.get(&sequence) {
                let (received, events) = (message.received.clone(), Arc::clone(&message.events));
                messages.push((received, events, targets));
            }
        }
        messages
    }

    /// Drops what is kept for the object.
    pub(super) fn forget(&mut self, target: &ObjectRef) {
        let Some(sequence) = self.of.remove(target) else {
            return;
        };
        if let Some(message) = self.messages.get_mut(&sequence) {
            message.targets.remove(target);
            if message.targets.is_empty() {
                self.events -= message.events.len();
                self.messages.remove(&sequence);
            }
        }
    }

    /// Drops the references to a message that was removed.
    fn drop_message(&mut self, message: &DeniedMessage) {
        self.events -= message.events.len();
        for target in &message.targets {
            if self.of.get(target) == Some(&message.received.sequence) {
                self.of.remove(target);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{event, received};

    fn note(denied: &mut Denied, sequence: Sequence, names: &[&str], reason: Unrefreshable) {
        let skipped = names.iter().map(|name| {
            let target = ObjectRef::new("n", name);
            (1, Skipped { target, reason })
        });
        let events = vec![(0, event("other")), (1, event("denied"))];
        denied.note(&received(sequence), &events, &skipped.collect::<Vec<_>>());
    }

    fn kept(denied: &Denied, names: &[&str]) -> Vec<(Sequence, usize)> {
        let targets = names.iter().map(|name| ObjectRef::new("n", name)).collect();
        let kept = denied.of(&targets).into_iter();
        kept.map(|(message, events, _)| (message.sequence, events.len()))
            .collect()
    }

    #[test]
    fn the_newest_denied_event_is_kept() {
        use Unrefreshable::{CreatedOnce, StoreDeniesNamespace};
        let mut denied = Denied::default();
        note(&mut denied, 1, &["a", "b"], StoreDeniesNamespace);
        note(&mut denied, 2, &["b"], StoreDeniesNamespace);
        note(&mut denied, 3, &["c"], CreatedOnce);
        assert_eq!(kept(&denied, &["a", "b", "c"]), [(1, 1), (2, 1)]);
        // A redelivery is the same message.
        note(&mut denied, 2, &["b"], StoreDeniesNamespace);
        assert_eq!(kept(&denied, &["b"]), [(2, 1)]);
        denied.forget(&ObjectRef::new("n", "a"));
        assert_eq!(kept(&denied, &["a", "b"]), [(2, 1)]);
        denied.forget(&ObjectRef::new("n", "b"));
        assert_eq!((denied.messages.len(), denied.of.len()), (0, 0));
        assert_eq!(denied.events, 0);
    }

    #[test]
    fn no_more_is_kept_than_its_bound() {
        let mut denied = Denied::default();
        for sequence in 0..MAX_EVENTS as u64 + 10 {
            let name = sequence.to_string();
            let reason = Unrefreshable::StoreDeniesNamespace;
            note(&mut denied, sequence, &[&name], reason);
        }
        assert_eq!((denied.events, denied.of.len()), (MAX_EVENTS, MAX_EVENTS));
        assert!(kept(&denied, &["9"]).is_empty() && !kept(&denied, &["10"]).is_empty());
    }
}
