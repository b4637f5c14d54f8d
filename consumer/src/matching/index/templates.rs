//! ConfigMaps and Secrets that templates use, and the objects that use them.

use std::collections::{BTreeSet, HashMap};

use eso_relay::event::{Event, Match, Reach, TemplateSource};

use super::{Index, Object};

/// Few objects have any: one without takes no memory here.
#[derive(Debug, Default)]
pub(super) struct Templates {
    readers: HashMap<TemplateSource, BTreeSet<u32>>,
    of: HashMap<u32, Box<[TemplateSource]>>,
}

impl Templates {
    /// Sets the sources; returns whether they have changed.
    pub(super) fn put(&mut self, object: u32, sources: Vec<TemplateSource>) -> bool {
        if *self.of(object) == *sources {
            return false;
        }
        self.remove(object);
        for source in &sources {
            let readers = self.readers.entry(source.clone());
            readers.or_default().insert(object);
        }
        if !sources.is_empty() {
            self.of.insert(object, sources.into());
        }
        true
    }

    pub(super) fn remove(&mut self, object: u32) {
        for source in self.of.remove(&object).unwrap_or_default() {
            if let Some(readers) = self.readers.get_mut(&source) {
                readers.remove(&object);
                if readers.is_empty() {
                    self.readers.remove(&source);
                }
            }
        }
    }

    /// The object's sources, in the order of its template.
    pub(super) fn of(&self, object: u32) -> &[TemplateSource] {
        self.of.get(&object).map_or(&[], AsRef::as_ref)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.readers.is_empty() && self.of.is_empty()
    }
}

/// The sources that the event names.
pub(super) fn sources(event: &Event) -> impl Iterator<Item = TemplateSource> {
    let keys = match &event.matches {
        Match::Exact(keys) => keys.as_slice(),
        Match::Prefix(_) | Match::Scope | Match::All => &[],
    };
    keys.iter().filter_map(|key| key.parse().ok())
}

/// Whether the object is in the namespace that the event names, if it names one.
pub(super) fn is_there(object: &Object, event: &Event) -> bool {
    let namespace = event.scope.get("namespace");
    namespace.is_none_or(|namespace| namespace == object.target.namespace())
}

impl Index {
    /// The objects whose template uses a source that the event names, within the event's reach.
    pub(super) fn template_readers(&self, event: &Event) -> impl Iterator<Item = u32> {
        let readers = sources(event).filter_map(|source| self.templates.readers.get(&source));
        readers.flatten().copied().filter(|id| {
            let object = self.objects.get(*id);
            object.is_some_and(|object| is_there(object, event) && self.lies_within(object, event))
        })
    }

    /// Whether the event may reach the object's namespace and one of its stores: a template has no store.
    fn lies_within(&self, object: &Object, event: &Event) -> bool {
        event.target.as_ref().is_none_or(|reach| {
            reach.allows_namespace(object.target.namespace())
                && self.reads_through_one_of(object, reach)
        })
    }

    /// Whether the object reads through a store that the event may reach.
    pub(super) fn reads_through_one_of(&self, object: &Object, reach: &Reach) -> bool {
        let stores = object.references.iter().map(|reference| reference.store);
        let mut stores = stores.filter_map(|id| self.stores.get(id));
        reach.stores.is_empty() || stores.any(|store| store.name.is_within(reach))
    }
}
