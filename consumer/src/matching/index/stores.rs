//! Stores, whether they exist or are only referenced, and the objects that read through each.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use eso_relay::event::{Reach, Settle};

use super::{
    Index, Object,
    change::{Listing, StoreRef},
    gate::Gate,
    lookup::{Form, View},
    slab::Slab,
};
use crate::object::ObjectRef;

#[derive(Debug)]
pub(super) struct StoreEntry {
    pub(super) name: StoreRef,
    pub(super) view: View,
    /// [`View::of_any_provider`].
    pub(super) any: View,
    pub(super) gate: Gate,
    /// Whether properties of its users may be unknown, because it did not take them at first.
    pub(super) lost_properties: bool,
    /// Objects with a reference through it.
    pub(super) users: HashSet<u32>,
    /// The generation of the list that it was last part of; `None` when the store does not exist.
    seen: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Stores {
    entries: Slab<StoreEntry>,
    ids: HashMap<StoreRef, u32>,
}

impl Stores {
    pub(super) fn get(&self, id: u32) -> Option<&StoreEntry> {
        self.entries.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &StoreEntry)> {
        self.entries.iter()
    }

    /// How many exist.
    pub(super) fn present(&self) -> usize {
        let present = |(_, store): &(u32, &StoreEntry)| store.seen.is_some();
        self.entries.iter().filter(present).count()
    }

    /// Whether an event with this reach may match through the store.
    pub(super) fn is_within(&self, name: &StoreRef, reach: &Reach) -> bool {
        let StoreRef::Any { kind, namespace } = name else {
            return name.is_within(reach);
        };
        let may_be = |store: &StoreRef| match store {
            StoreRef::Namespaced { namespace: own, .. } => own == namespace,
            StoreRef::Cluster { .. } => true,
            StoreRef::Any { .. } | StoreRef::Implied(_) => false,
        };
        reach.stores.is_empty()
            || self.iter().any(|(_, store)| {
                let store = &store.name;
                store.kind() == Some(*kind) && may_be(store) && store.is_within(reach)
            })
    }

    /// Whether a reference through it may be compared by its property.
    pub(super) fn takes_properties(&self, name: &StoreRef) -> bool {
        let store = self.ids.get(name).and_then(|id| self.get(*id));
        store.is_none_or(|store| store.view.takes_properties())
    }

    /// Adds an object that reads through the store.
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

    /// The store exists.
    pub(super) fn appear(&mut self, name: StoreRef, generation: u64) -> u32 {
        let id = self.id(name);
        if let Some(store) = self.entries.get_mut(id) {
            store.seen = Some(generation);
        }
        id
    }

    /// The store does not exist any more; returns its id if it was known.
    pub(super) fn vanish(&mut self, name: &StoreRef) -> Option<u32> {
        let id = *self.ids.get(name)?;
        self.entries.get_mut(id)?.seen = None;
        Some(id)
    }

    /// Its users may have properties that were not kept, if this view takes them and the present one does not.
    pub(super) fn note_lost_properties(&mut self, id: u32, view: &View) {
        if let Some(store) = self.entries.get_mut(id) {
            store.lost_properties |= view.takes_properties() && !store.view.takes_properties();
        }
    }

    pub(super) fn set(&mut self, id: u32, view: View, gate: Gate) {
        if let Some(store) = self.entries.get_mut(id) {
            store.any = view.of_any_provider();
            (store.view, store.gate) = (view, gate);
        }
        self.forget_if_unused(id);
    }

    /// The stores of the list that were not in it.
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
        let implied = match &name {
            StoreRef::Implied(backend) => Some(Arc::clone(backend)),
            StoreRef::Namespaced { .. } | StoreRef::Cluster { .. } | StoreRef::Any { .. } => None,
        };
        let view = View::of(implied);
        let id = self.entries.insert(StoreEntry {
            name: name.clone(),
            any: view.of_any_provider(),
            view,
            gate: Gate::default(),
            lost_properties: false,
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

impl Index {
    /// The stores that the object, or everything that an owner owns, reads through; possibly more than once.
    pub fn stores_of(&self, target: &ObjectRef) -> impl Iterator<Item = &StoreRef> {
        self.read_through(target).map(|store| &store.name)
    }

    /// How long the object's stores may still return an old value, by their own settings.
    pub fn settle_of(&self, target: &ObjectRef) -> Option<Settle> {
        self.read_through(target)
            .filter_map(|store| store.view.settle())
            .max()
    }

    /// The providers that the object reads from, as events call them, in order and separated by commas.
    pub fn backends_of(&self, target: &ObjectRef) -> String {
        let stores = self.read_through(target);
        let names: BTreeSet<String> = stores.map(|store| store.view.provider_name()).collect();
        Vec::from_iter(names).join(",")
    }

    /// Whether the object, or any that an owner owns, has `spec.syncWindows`.
    pub fn has_sync_windows(&self, target: &ObjectRef) -> bool {
        let mut ids = self.ids_of(target).into_iter();
        ids.any(|id| self.sync_windows.contains(&id))
    }

    /// Whether all its references are a `find` that ESO's provider does not implement.
    pub(super) fn only_finds_in_vain(&self, object: &Object) -> bool {
        let mut references = object.references.iter();
        references.all(|reference| {
            let store = self.stores.get(reference.store);
            matches!(reference.form, Form::Find(_))
                && store.is_some_and(|store| !store.view.rules().can_find())
        })
    }

    fn read_through(&self, target: &ObjectRef) -> impl Iterator<Item = &StoreEntry> {
        let ids = self.ids_of(target).into_iter();
        let objects = ids.filter_map(|id| self.objects.get(id));
        let references = objects.flat_map(|object| &object.references);
        references.filter_map(|entry| self.stores.get(entry.store))
    }

    /// The object, or everything that an owner owns.
    fn ids_of(&self, target: &ObjectRef) -> Vec<u32> {
        if target.is_owner() {
            self.owners.children(target).collect()
        } else {
            Vec::from_iter(self.ids.get(target).copied())
        }
    }
}
