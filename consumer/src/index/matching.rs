//! The four ways in which an event means references, each within what its source may reach.

use eso_relay::event::{Event, Match};

use super::{
    Entry, Index,
    lookup::{Family, Form, Posting},
};
use crate::{
    provider::{self, Provider},
    target::Target,
};

impl Index {
    /// Everyone whom the event means, each once. What an exact event costs depends on how many
    /// that are and on the distinct `find` patterns, not on how many objects there are.
    pub fn matching(&self, event: &Event) -> Vec<Target> {
        let families = families(event);
        let mut found = Found {
            index: self,
            event,
            objects: Vec::new(),
        };
        match &event.matches {
            Match::Exact(keys) => {
                for family in families.iter().flatten() {
                    for key in keys.as_slice() {
                        self.lookup.exact(family, key, |posting| found.add(posting));
                    }
                }
            }
            Match::Prefix(path) => found.add_references(&families, |entry, provider| {
                entry.may_be_below(provider, path)
            }),
            // Attributes of the scope that a store does not tell do not exclude it.
            Match::Scope => found.add_references(&families, |_, _| true),
            Match::All => found.add_references(&[Some(Family::Any), None], |_, _| true),
        }
        found.into_targets()
    }
}

/// `generic` compares keys through every store. A provider's event means its own stores, and those
/// of which we do not know what they are.
fn families(event: &Event) -> [Option<Family>; 2] {
    match Provider::of_event(&event.provider) {
        None => [Some(Family::Any), None],
        Some(provider) => [Some(Family::Of(provider)), Some(Family::Unknown)],
    }
}

struct Found<'a> {
    index: &'a Index,
    event: &'a Event,
    objects: Vec<u32>,
}

impl Found<'_> {
    /// Tenancy is checked here, for each reference and not for the object as a whole.
    fn add(&mut self, posting: Posting) {
        let allowed = match &self.event.target {
            None => true,
            Some(reach) => {
                let store = self.index.stores.get(posting.store);
                let object = self.index.objects.get(posting.object);
                store.is_some_and(|store| reach.allows_store(store.name.kind(), store.name.name()))
                    && object
                        .is_some_and(|object| reach.allows_namespace(object.target.namespace()))
            }
        };
        if allowed {
            self.objects.push(posting.object);
        }
    }

    fn add_references(
        &mut self,
        families: &[Option<Family>],
        wanted: impl Fn(&Entry, Option<&Provider>) -> bool,
    ) {
        for (id, store) in self.index.stores.iter() {
            let mut known = families.iter().flatten();
            if !known.any(|family| *family == Family::Any || *family == store.family) {
                continue;
            }
            for user in &store.users {
                let references = self.index.objects.get(*user).map(|user| &user.references);
                let mut through = references.into_iter().flatten();
                if through.any(|entry| entry.store == id && wanted(entry, store.family.provider()))
                {
                    self.add(Posting {
                        object: *user,
                        store: id,
                    });
                }
            }
        }
    }

    fn into_targets(mut self) -> Vec<Target> {
        self.objects.sort_unstable();
        self.objects.dedup();
        self.objects
            .iter()
            .filter_map(|id| Some(self.index.objects.get(*id)?.target.clone()))
            .collect()
    }
}

impl Entry {
    /// Below the path, or the secret that has the path for its name.
    fn may_be_below(&self, provider: Option<&Provider>, path: &str) -> bool {
        match &self.form {
            Form::Find(find) => find.may_overlap(provider, path),
            Form::Key(key) => {
                let folder = provider::canonical(provider, path).trim_end_matches('/');
                let rest = provider::canonical(provider, key).strip_prefix(folder);
                rest.is_some_and(|rest| {
                    folder.is_empty() || rest.is_empty() || rest.starts_with('/')
                })
            }
        }
    }
}
