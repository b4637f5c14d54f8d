//! What is known of an object by what it reads through.

use eso_relay::event::Settle;

use super::{Index, change::StoreRef, stores::StoreEntry};
use crate::object::ObjectRef;

impl Index {
    /// The stores that the object reads through, or all that an owner owns; one may come more than
    /// once.
    pub fn stores_of(&self, target: &ObjectRef) -> impl Iterator<Item = &StoreRef> {
        self.read_through(target).map(|store| &store.name)
    }

    /// How long the stores that the object reads through may still hand out an old value, by their own
    /// settings.
    pub fn settle_of(&self, target: &ObjectRef) -> Option<Settle> {
        self.read_through(target)
            .filter_map(|store| store.view.settle())
            .max()
    }

    /// Whether it, or any that it owns, has `spec.syncWindows`.
    pub fn has_sync_windows(&self, target: &ObjectRef) -> bool {
        let mut ids = self.ids_of(target).into_iter();
        ids.any(|id| self.sync_windows.contains(&id))
    }

    fn read_through(&self, target: &ObjectRef) -> impl Iterator<Item = &StoreEntry> {
        let ids = self.ids_of(target).into_iter();
        let objects = ids.filter_map(|id| self.objects.get(id));
        let references = objects.flat_map(|object| &object.references);
        references.filter_map(|entry| self.stores.get(entry.store))
    }

    /// The object, or all that an owner owns.
    fn ids_of(&self, target: &ObjectRef) -> Vec<u32> {
        if target.is_owner() {
            self.owners.children(target).collect()
        } else {
            Vec::from_iter(self.ids.get(target).copied())
        }
    }
}
