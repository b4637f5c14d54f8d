//! Links the references of an object with the stores and the lookup, and unlinks them.

use super::{
    Entry, Index,
    change::{Form, Observation, Reference, StoreRef},
    gate::Gate,
    lookup,
    lookup::{Posting, View},
};

impl Index {
    pub(super) fn reads_the_same(&self, id: u32, references: &[Reference]) -> bool {
        let Some(object) = self.objects.get(id) else {
            return false;
        };
        let same = |(old, new): (&Entry, &Reference)| {
            let store = self.stores.get(old.store);
            store.is_some_and(|store| store.name == new.store)
                && match (&old.form, &new.form) {
                    (lookup::Form::Key(old), Form::Key(new)) => **old == **new,
                    (lookup::Form::Find(old), Form::Find(new)) => old.spec() == new,
                    _ => false,
                }
        };
        object.references.len() == references.len()
            && self
                .details
                .are(id, references, |store| self.stores.takes_properties(store))
            && object.references.iter().zip(references).all(same)
    }

    pub(super) fn link(&mut self, id: u32, references: Vec<Reference>) {
        let Some(object) = self.objects.get_mut(id) else {
            return;
        };
        self.references += references.len();
        let takes = |store: &StoreRef| self.stores.takes_properties(store);
        self.details.put(id, &references, takes);
        object.references = references
            .into_iter()
            .map(|reference| Entry {
                store: self.stores.use_by(reference.store, id),
                form: match reference.form {
                    Form::Key(key) => lookup::Form::Key(key.into()),
                    Form::Find(spec) => lookup::Form::Find(self.finds.intern(spec, &object.target)),
                },
            })
            .collect();
        let owner = (id, object.target.namespace());
        for (place, entry) in object.references.iter().enumerate() {
            let posting = entry.posting(id);
            if let Some(store) = self.stores.get(entry.store) {
                for view in [&store.any, &store.view] {
                    let named = self.details.named(owner, (place, &entry.form), store, view);
                    self.lookup.add(view, named, posting);
                }
            }
        }
    }

    pub(super) fn unlink(&mut self, id: u32) {
        let Some(object) = self.objects.get_mut(id) else {
            return;
        };
        let references = std::mem::take(&mut object.references);
        self.references -= references.len();
        self.revision += 1;
        let owner = (id, object.target.namespace());
        for (place, entry) in references.iter().enumerate() {
            let posting = entry.posting(id);
            if let Some(store) = self.stores.get(entry.store) {
                for view in [&store.any, &store.view] {
                    let named = self.details.named(owner, (place, &entry.form), store, view);
                    self.lookup.remove(view, named, posting);
                }
            }
        }
        self.details.remove(id);
        for entry in references {
            self.stores.disuse_by(entry.store, id);
            if let lookup::Form::Find(find) = entry.form {
                self.finds.release(&find);
            }
        }
    }

    /// Changes a store, and indexes the keys of all its users again.
    pub(super) fn reread(&mut self, store: u32, view: View, gate: Gate) -> Vec<Observation> {
        let mut reads = Vec::new();
        let denied = self.denied_by(store, &gate);
        self.stores.note_lost_properties(store, &view);
        let Some(entry) = self.stores.get(store) else {
            return reads;
        };
        if entry.view != view {
            let forgets = entry.view.takes_properties() && !view.takes_properties();
            let any = Some(view.of_any_provider()).filter(|any| *any != entry.any);
            for user in &entry.users {
                let Some(object) = self.objects.get(*user) else {
                    continue;
                };
                if self.synced {
                    reads.push(Observation::Reads(object.target.clone()));
                }
                let owner = (*user, object.target.namespace());
                let references = object.references.iter().enumerate();
                let through = references.filter(|(_, reference)| reference.store == store);
                let details = &self.details;
                // All are removed before the first is added: a new name may equal an old one.
                for (place, reference) in through.clone() {
                    let posting = reference.posting(*user);
                    let old = any.is_some().then_some(&entry.any);
                    for view in old.into_iter().chain([&entry.view]) {
                        let named = details.named(owner, (place, &reference.form), entry, view);
                        self.lookup.remove(view, named, posting);
                    }
                }
                for (place, reference) in through {
                    let posting = reference.posting(*user);
                    for view in any.iter().chain([&view]) {
                        let named = details.named(owner, (place, &reference.form), entry, view);
                        self.lookup.add(view, named, posting);
                    }
                }
                if forgets {
                    let stores = object.references.iter().map(|reference| reference.store);
                    self.details.forget_properties(*user, stores, store);
                }
            }
        }
        self.revision += 1;
        self.stores.set(store, view, gate);
        reads.extend(self.admitted(denied));
        reads
    }
}

impl Entry {
    fn posting(&self, object: u32) -> Posting {
        Posting {
            object,
            store: self.store,
        }
    }
}
