//! Which versions references ask for. Few do: an object without takes no room here.

use std::collections::HashMap;

/// By object, one for each of its references, in their order.
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

    /// Of the object's reference at this place.
    pub(super) fn get(&self, object: u32, place: usize) -> Option<&str> {
        self.0.get(&object)?.get(place)?.as_deref()
    }

    /// Whether the object's references ask for just these.
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
