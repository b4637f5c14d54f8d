//! A queue in order of arrival, with separate suspects.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{Entry, Ticket};

/// A namespace with all its tickets is either sound or suspect.
#[derive(Debug, Default)]
pub(super) struct Queue {
    namespaces: HashMap<Arc<str>, Waiting>,
    /// The first ticket of each namespace.
    sound: BTreeMap<Ticket, Arc<str>>,
    suspect: BTreeMap<Ticket, Arc<str>>,
    /// Targets whose own last patch failed, whatever their namespace.
    failing: BTreeSet<Ticket>,
}

#[derive(Debug)]
struct Waiting {
    tickets: BTreeSet<Ticket>,
    suspect: bool,
}

impl Queue {
    /// `suspect`: whether its namespace is suspect.
    pub(super) fn insert(&mut self, ticket: Ticket, entry: &Entry, suspect: bool) {
        if entry.failing {
            self.failing.insert(ticket);
            return;
        }
        let name = entry.target.namespace();
        if !self.namespaces.contains_key(name) {
            let tickets = BTreeSet::new();
            let waiting = Waiting { tickets, suspect };
            self.namespaces.insert(name.into(), waiting);
        }
        self.change(name, |waiting| {
            waiting.tickets.insert(ticket);
        });
    }

    pub(super) fn remove(&mut self, ticket: Ticket, entry: &Entry) {
        if !self.failing.remove(&ticket) {
            self.change(entry.target.namespace(), |waiting| {
                waiting.tickets.remove(&ticket);
            });
        }
    }

    pub(super) fn mark_namespace(&mut self, namespace: &str, suspect: bool) {
        self.change(namespace, |waiting| waiting.suspect = suspect);
    }

    pub(super) fn first(&self, suspects_too: bool) -> Option<Ticket> {
        let sound = self.sound.keys().next();
        if !suspects_too {
            return sound.copied();
        }
        let suspect = self.suspect.keys().next();
        let firsts = sound.into_iter().chain(suspect).chain(self.failing.first());
        firsts.min().copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.namespaces.is_empty() && self.failing.is_empty()
    }

    fn change(&mut self, namespace: &str, change: impl FnOnce(&mut Waiting)) {
        let Some((name, mut waiting)) = self.namespaces.remove_entry(namespace) else {
            return;
        };
        if let Some(first) = waiting.tickets.first() {
            self.heads(waiting.suspect).remove(first);
        }
        change(&mut waiting);
        if let Some(first) = waiting.tickets.first() {
            self.heads(waiting.suspect)
                .insert(*first, Arc::clone(&name));
            self.namespaces.insert(name, waiting);
        }
    }

    fn heads(&mut self, suspect: bool) -> &mut BTreeMap<Ticket, Arc<str>> {
        if suspect {
            &mut self.suspect
        } else {
            &mut self.sound
        }
    }
}
