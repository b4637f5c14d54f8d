//! Lists of the API: what is not in one is gone.

use super::{Index, Listing, Observation, gate::Listed};
use crate::object::{ListKind, ObjectRef};

impl Index {
    pub(super) fn begin(&mut self, listing: Listing) {
        self.generation += 1;
        self.open.insert(listing, self.generation);
    }

    /// It may not be listed.
    pub(super) fn deny(&mut self, listing: &Listing) -> Vec<Observation> {
        if !listing.is_dropped_when_denied() {
            return Vec::new();
        }
        self.begin(listing.clone());
        let gone = self.sweep(listing);
        if listing.holds_namespaces() {
            self.namespaces.set_listed(Listed::Denied);
            if self.synced {
                self.warn_of_unknown_namespaces();
            }
        }
        gone
    }

    /// Removes what was not in a list that has ended.
    pub(super) fn sweep(&mut self, listing: &Listing) -> Vec<Observation> {
        let Some(since) = self.open.remove(listing) else {
            return Vec::new();
        };
        for store in self.stores.missed(listing, since) {
            self.remove_store(&store);
        }
        if listing.holds_namespaces() {
            self.namespaces.sweep(since);
            self.namespaces.set_listed(Listed::All);
            return Vec::new();
        }
        if let ListKind::Workloads(_) = listing.kind {
            return self.sweep_workloads(listing, since);
        }
        if listing.holds_owners() {
            let missed = self.owners.missed(since).into_iter();
            return missed
                .filter_map(|owner| self.remove_owner(owner))
                .collect();
        }
        let missed: Vec<ObjectRef> = self
            .objects
            .iter()
            .filter(|(_, object)| object.seen < since && listing.holds(&object.target))
            .map(|(_, object)| object.target.clone())
            .collect();
        missed
            .iter()
            .filter_map(|target| self.remove(target))
            .collect()
    }
}
