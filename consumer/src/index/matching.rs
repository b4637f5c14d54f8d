//! The four ways in which an event means references, each within what its source may reach.

use eso_relay::event::{Event, Match};

use super::{
    Entry, Index,
    lookup::{ANY, Family, Form, Posting, View},
    stores::StoreEntry,
};
use crate::{
    provider::{Provider, Reading, Rules, Sought},
    target::Target,
};

impl Index {
    /// Everyone whom the event means, each once. What an exact event costs depends on how many
    /// that are and on the distinct `find` patterns, not on how many objects there are.
    pub fn matching(&self, event: &Event) -> Vec<Target> {
        let mut found = Found {
            index: self,
            event,
            objects: Vec::new(),
        };
        for (family, sought) in &readings(event) {
            match &event.matches {
                Match::Exact(_) => {
                    self.lookup.candidates(family, sought, |posting| {
                        found.verify(posting, family, sought);
                    });
                    self.lookup
                        .finders(family, sought, |posting| found.add(posting));
                }
                Match::Prefix(_) => found.add_references(family, |rules, reading| {
                    rules.reaches(reading, sought) && rules.is_below(reading, sought)
                }),
                Match::Scope => {
                    found.add_references(family, |rules, reading| rules.reaches(reading, sought));
                }
                Match::All => found.add_references(family, |_, _| true),
            }
        }
        found.into_targets()
    }
}

/// What the event is about, as references of each family see it. `generic` compares keys through
/// every store. A provider's event means its own stores, and those of which we do not know what
/// they are.
pub(super) fn readings(event: &Event) -> Vec<(Family, Sought<'_>)> {
    let providers = match Provider::of_event(&event.provider) {
        Some(providers) if event.matches != Match::All => providers,
        _ => return vec![(Family::Any, Provider::sought_anywhere(&[], event))],
    };
    let unknown = (
        Family::Unknown,
        Provider::sought_anywhere(&providers, event),
    );
    let known = providers.into_iter().map(|provider| {
        let sought = provider.sought(event);
        (Family::Of(provider), sought)
    });
    known.chain([unknown]).collect()
}

/// By which rules an event for the family reads references through the store; `None` when it does
/// not mean the store.
pub(super) fn view<'v>(family: &Family, store: &'v StoreEntry) -> Option<&'v View> {
    match family {
        Family::Any => Some(&ANY),
        family => Some(&store.view).filter(|view| view.family == *family),
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

    /// Takes a candidate if one of its keys is meant indeed.
    fn verify(&mut self, posting: Posting, family: &Family, sought: &Sought<'_>) {
        let store = self.index.stores.get(posting.store);
        let Some(view) = store.and_then(|store| view(family, store)) else {
            return;
        };
        let rules = view.rules();
        let reads = |reference: &Entry| match &reference.form {
            Form::Key(key) => rules.reads(key, sought) && rules.reaches(&Reading::Key(key), sought),
            Form::Find(_) => false,
        };
        if self.index.any_reference(posting, reads) {
            self.add(posting);
        }
    }

    fn add_references(
        &mut self,
        family: &Family,
        wanted: impl Fn(&dyn Rules, &Reading<'_>) -> bool,
    ) {
        for (id, store) in self.index.stores.iter() {
            let Some(view) = view(family, store) else {
                continue;
            };
            let rules = view.rules();
            for user in &store.users {
                let posting = Posting {
                    object: *user,
                    store: id,
                };
                let wanted = |reference: &Entry| wanted(rules, &reference.form.reading());
                if self.index.any_reference(posting, wanted) {
                    self.add(posting);
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

impl Index {
    /// Of the object, through the store.
    fn any_reference(&self, posting: Posting, wanted: impl Fn(&Entry) -> bool) -> bool {
        let object = self.objects.get(posting.object);
        let mut references = object.into_iter().flat_map(|object| &object.references);
        references.any(|reference| reference.store == posting.store && wanted(reference))
    }
}
