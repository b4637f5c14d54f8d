//! Links the references of an object with the stores and the lookup, and unlinks them.

use std::collections::HashMap;

use super::{
    Entry, Index,
    change::{Form, Observation, Reference},
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
        let versions = references.iter().map(|reference| &reference.version);
        object.references.len() == references.len()
            && self.versions.are(id, versions)
            && object.references.iter().zip(references).all(same)
    }

    pub(super) fn link(&mut self, id: u32, references: Vec<Reference>) {
        let Some(object) = self.objects.get_mut(id) else {
            return;
        };
        self.references += references.len();
        let versions = references.iter().map(|reference| &reference.version);
        self.versions.put(id, versions);
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
        for entry in &object.references {
            let posting = entry.posting(id);
            if let Some(store) = self.stores.get(entry.store) {
                self.lookup.add(&store.any, &entry.form, posting);
                self.lookup.add(&store.view, &entry.form, posting);
            }
        }
    }

    pub(super) fn unlink(&mut self, id: u32) {
        let Some(object) = self.objects.get_mut(id) else {
            return;
        };
        let references = std::mem::take(&mut object.references);
        self.references -= references.len();
        self.versions.remove(id);
        for entry in &references {
            let posting = entry.posting(id);
            if let Some(store) = self.stores.get(entry.store) {
                self.lookup.remove(&store.any, &entry.form, posting);
                self.lookup.remove(&store.view, &entry.form, posting);
            }
        }
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
        let Some(entry) = self.stores.get(store) else {
            return reads;
        };
        if entry.view != view {
            let any = Some(view.of_any_provider()).filter(|any| *any != entry.any);
            for user in &entry.users {
                let object = self.objects.get(*user);
                if self.synced {
                    reads.extend(object.map(|object| Observation::Reads(object.target.clone())));
                }
                let references = object.into_iter().flat_map(|object| &object.references);
                let through = references.filter(|reference| reference.store == store);
                // All are removed before the first is added: a new name may equal an old one.
                for reference in through.clone() {
                    let posting = reference.posting(*user);
                    if any.is_some() {
                        self.lookup.remove(&entry.any, &reference.form, posting);
                    }
                    self.lookup.remove(&entry.view, &reference.form, posting);
                }
                for reference in through {
                    let posting = reference.posting(*user);
                    if let Some(any) = &any {
                        self.lookup.add(any, &reference.form, posting);
                    }
                    self.lookup.add(&view, &reference.form, posting);
                }
            }
        }
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

/// The versions that references ask for, by object and in the order of its references. Few objects have any: one
/// without takes no memory here.
#[derive(Debug, Default)]
pub(super) struct Versions(HashMap<u32, Box<[Option<Box<str>>]>>);

impl Versions {
    pub(super) fn put<'v>(
        &mut self,
        object: u32,
        versions: impl Iterator<Item = &'v Option<String>> + Clone,
    ) {
        if versions.clone().any(Option::is_some) {
            let versions = versions.map(|version| version.as_deref().map(Into::into));
            self.0.insert(object, versions.collect());
        }
    }

    pub(super) fn remove(&mut self, object: u32) {
        self.0.remove(&object);
    }

    /// The version of the object's reference at this index.
    pub(super) fn get(&self, object: u32, place: usize) -> Option<&str> {
        self.0.get(&object)?.get(place)?.as_deref()
    }

    /// Whether the object's references ask for these versions.
    pub(super) fn are<'v>(
        &self,
        object: u32,
        versions: impl Iterator<Item = &'v Option<String>>,
    ) -> bool {
        let mut versions = (0..).zip(versions);
        versions.all(|(place, version)| self.get(object, place) == version.as_deref())
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
