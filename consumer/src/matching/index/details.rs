//! What references ask for beside their key, by object and in the order of its references.

use std::collections::HashMap;

use super::{
    change::{Reference, StoreRef},
    lookup::{self, Named, View},
    stores::StoreEntry,
};
use crate::matching::provider::RemoteRef;

/// Few objects have any: one without takes no memory here.
#[derive(Debug, Default)]
pub(super) struct Details {
    versions: Texts,
    /// Only of references through stores that [may take them](View::takes_properties).
    properties: Texts,
}

impl Details {
    /// `takes`: whether a store may take properties.
    pub(super) fn put(
        &mut self,
        object: u32,
        references: &[Reference],
        takes: impl Fn(&StoreRef) -> bool,
    ) {
        let versions = references.iter().map(|reference| &reference.version);
        self.versions.put(object, versions.map(Option::as_deref));
        let properties = references
            .iter()
            .map(|reference| property(reference, &takes));
        self.properties.put(object, properties);
    }

    pub(super) fn remove(&mut self, object: u32) {
        self.versions.remove(object);
        self.properties.remove(object);
    }

    /// Whether the object's references ask for the same as these.
    pub(super) fn are(
        &self,
        object: u32,
        references: &[Reference],
        takes: impl Fn(&StoreRef) -> bool,
    ) -> bool {
        let versions = references.iter().map(|reference| &reference.version);
        let properties = references
            .iter()
            .map(|reference| property(reference, &takes));
        self.versions.are(object, versions.map(Option::as_deref))
            && self.properties.are(object, properties)
    }

    /// Forgets the properties of the object's references through this store, which does not take them any more.
    /// `stores`: those of all its references.
    pub(super) fn forget_properties(
        &mut self,
        object: u32,
        stores: impl Iterator<Item = u32>,
        store: u32,
    ) {
        self.properties
            .forget(object, stores.map(|other| other == store));
    }

    /// The version of the object's reference at this place.
    pub(super) fn version(&self, object: u32, place: usize) -> Option<&str> {
        self.versions.get(object, place)
    }

    /// What the object's reference at this place names, for this view of its store.
    pub(super) fn named<'i>(
        &'i self,
        (object, namespace): (u32, &'i str),
        (place, form): (usize, &'i lookup::Form),
        store: &StoreEntry,
        view: &View,
    ) -> Named<'i> {
        let key = match form {
            lookup::Form::Key(key) => &**key,
            lookup::Form::Find(find) => return Named::Find(find),
        };
        if !view.has_templates() {
            return Named::Key(RemoteRef::of_key(key));
        }
        let property = self.properties.get(object, place);
        Named::Key(RemoteRef {
            key,
            version: self.version(object, place).unwrap_or_default(),
            property: property.or((!store.lost_properties).then_some("")),
            namespace,
        })
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.versions.0.is_empty() && self.properties.0.is_empty()
    }
}

fn property(reference: &Reference, takes: impl Fn(&StoreRef) -> bool) -> Option<&str> {
    let property = reference.property.as_deref();
    property.filter(|_| takes(&reference.store))
}

#[derive(Debug, Default)]
struct Texts(HashMap<u32, Box<[Option<Box<str>>]>>);

impl Texts {
    fn put<'t>(&mut self, object: u32, texts: impl Iterator<Item = Option<&'t str>> + Clone) {
        if texts.clone().any(|text| text.is_some()) {
            let texts = texts.map(|text| text.map(Into::into));
            self.0.insert(object, texts.collect());
        }
    }

    fn remove(&mut self, object: u32) {
        self.0.remove(&object);
    }

    fn get(&self, object: u32, place: usize) -> Option<&str> {
        self.0.get(&object)?.get(place)?.as_deref()
    }

    fn are<'t>(&self, object: u32, texts: impl Iterator<Item = Option<&'t str>>) -> bool {
        let mut texts = (0..).zip(texts);
        texts.all(|(place, text)| self.get(object, place) == text)
    }

    fn forget(&mut self, object: u32, forgotten: impl Iterator<Item = bool>) {
        let Some(texts) = self.0.get_mut(&object) else {
            return;
        };
        for (text, forgotten) in texts.iter_mut().zip(forgotten) {
            text.take_if(|_| forgotten);
        }
        if texts.iter().all(Option::is_none) {
            self.0.remove(&object);
        }
        // Before the stores are listed, all are kept.
        if self.0.len() < self.0.capacity() / 4 {
            self.0.shrink_to_fit();
        }
    }
}
