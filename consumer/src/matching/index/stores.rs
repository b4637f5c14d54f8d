//! Stores, whether they exist or are only spoken of, and who reads through each.

use std::collections::{HashMap, HashSet};

use eso_relay::event::Reach;

use super::{
    change::{Listing, StoreRef},
    gate::Gate,
    lookup::View,
    slab::Slab,
};

#[derive(Debug)]
pub(super) struct StoreEntry {
    pub(super) name: StoreRef,
    pub(super) view: View,
    /// [`View::of_any_provider`].
    pub(super) any: View,
    pub(super) gate: Gate,
    /// Objects with a reference through it.
    pub(super) users: HashSet<u32>,
    /// The listing that it was last part of; `None` when the store is not there.
    seen: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Stores {
    entries: Slab<StoreEntry>,
    ids: HashMap<StoreRef, u32>,
}

impl Stores {
    pub(super) fn new() -> Self {
        Self {
            entries: Slab::new(),
            ids: HashMap::new(),
        }
    }

    pub(super) fn get(&self, id: u32) -> Option<&StoreEntry> {
        self.entries.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &StoreEntry)> {
        self.entries.iter()
    }

    /// How many are there, as opposed to spoken of.
    pub(super) fn present(&self) -> usize {
        let present = |(_, store): &(u32, &StoreEntry)| store.seen.is_some();
        self.entries.iter().filter(present).count()
    }

    /// Whether an event with this target may mean what goes through the store.
    pub(super) fn is_within(&self, name: &StoreRef, reach: &Reach) -> bool {
        let StoreRef::Any { kind, namespace } = name else {
            return reach.allows_store(name.kind(), name.name());
        };
        let may_be = |store: &StoreRef| match store {
            StoreRef::Namespaced { namespace: own, .. } => own == namespace,
            StoreRef::Cluster { .. } => true,
            StoreRef::Any { .. } => false,
        };
        reach.stores.is_empty()
            || self.iter().any(|(_, store)| {
                let store = &store.name;
                store.kind() == *kind && may_be(store) && reach.allows_store(*kind, store.name())
            })
    }

    /// Notes that the object reads through the store.
    pub(super) fn use_by(&mut self, name: StoreRef, object: u32) -> u32 {
        let id = self.id(name);
        if let Some(store) = self.entries.get_mut(id) {
            store.users.insert(object);
        }
        id
    }

    pub(super) fn disuse_by(&mut self, id: u32, object: u32) {
        if let Some(store) = self.entries.get_mut(id) {
            store.users.remove(&object);
        }
        self.forget_if_unused(id);
    }

    /// Notes that the store is there.
    pub(super) fn appear(&mut self, name: StoreRef, generation: u64) -> u32 {
        let id = self.id(name);
        if let Some(store) = self.entries.get_mut(id) {
            store.seen = Some(generation);
        }
        id
    }

    /// Notes that the store is not there any more; its number, if anyone knew it.
    pub(super) fn vanish(&mut self, name: &StoreRef) -> Option<u32> {
        let id = *self.ids.get(name)?;
        self.entries.get_mut(id)?.seen = None;
        Some(id)
    }

    pub(super) fn set(&mut self, id: u32, view: View, gate: Gate) {
        if let Some(store) = self.entries.get_mut(id) {
            store.any = view.of_any_provider();
            (store.view, store.gate) = (view, gate);
        }
        self.forget_if_unused(id);
    }

    /// Those of the listing that were not seen since it began.
    pub(super) fn missed(&self, listing: &Listing, since: u64) -> Vec<StoreRef> {
        self.entries
            .iter()
            .filter(|(_, store)| store.seen.is_some_and(|seen| seen < since))
            .filter(|(_, store)| listing.holds_store(&store.name))
            .map(|(_, store)| store.name.clone())
            .collect()
    }

    fn id(&mut self, name: StoreRef) -> u32 {
        if let Some(id) = self.ids.get(&name) {
            return *id;
        }
        let view = View::of_store(None);
        let id = self.entries.insert(StoreEntry {
            name: name.clone(),
            any: view.of_any_provider(),
            view,
            gate: Gate::default(),
            users: HashSet::new(),
            seen: None,
        });
        self.ids.insert(name, id);
        id
    }

    fn forget_if_unused(&mut self, id: u32) {
        let unused = |store: &StoreEntry| store.users.is_empty() && store.seen.is_none();
        if self.entries.get(id).is_some_and(unused)
            && let Some(store) = self.entries.remove(id)
        {
            self.ids.remove(&store.name);
        }
    }
}
