//! The labels of Namespaces, for stores whose conditions ask for them.

use std::collections::HashMap;

use crate::matching::selector::Labels;

/// Those that are known. Nobody is kept out for labels that are not.
#[derive(Debug, Default)]
pub(super) struct Namespaces(HashMap<String, Namespace>);

#[derive(Debug)]
struct Namespace {
    labels: Labels,
    /// The listing that it was last part of.
    seen: u64,
}

impl Namespaces {
    pub(super) fn appear(&mut self, name: String, labels: Labels, seen: u64) {
        self.0.insert(name, Namespace { labels, seen });
    }

    pub(super) fn vanish(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Forgets those that were not seen since.
    pub(super) fn sweep(&mut self, since: u64) {
        self.0.retain(|_, namespace| namespace.seen >= since);
    }

    pub(super) fn labels(&self, name: &str) -> Option<&Labels> {
        Some(&self.0.get(name)?.labels)
    }
}
