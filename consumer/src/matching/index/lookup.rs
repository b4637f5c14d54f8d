//! Looks up the objects that read a key.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    sync::Arc,
};

use eso_relay::event::Settle;

use super::find::Find;
use crate::matching::provider::{self, Backend, Provider, Query, Reading, RemoteRef, Rules};

/// An object and a store that it reads through. Both decide whether an event may reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Posting {
    pub(super) object: u32,
    pub(super) store: u32,
}

/// What a reference names, as it is compared.
#[derive(Debug, Clone, Copy)]
pub(super) enum Named<'i> {
    Key(RemoteRef<'i>),
    Find(&'i Arc<Find>),
}

impl<'i> Named<'i> {
    pub(super) fn reading(self) -> Reading<'i> {
        match self {
            Self::Key(remote) => Reading::Key(remote),
            Self::Find(find) => Reading::Find(find.pattern()),
        }
    }
}

/// The references that a key is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Family {
    /// Those of every store, for events that name no provider.
    Any,
    /// Those of stores whose provider is unknown, because the store is missing or may not be listed.
    Unknown,
    Of(Provider),
}

/// The rules for references through a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) family: Family,
    backend: Option<Arc<Backend>>,
}

impl View {
    /// `None` for an unknown store.
    pub(super) fn of_store(backend: Option<Backend>) -> Self {
        Self::of(backend.map(Arc::new))
    }

    pub(super) fn of(backend: Option<Arc<Backend>>) -> Self {
        let of = |backend: &Arc<Backend>| Family::Of(backend.provider());
        Self {
            family: backend.as_ref().map_or(Family::Unknown, of),
            backend,
        }
    }

    /// The rules for an event that names no provider: it compares keys as they are written. Providers without rules
    /// of their own keep those for `find`, and URLs are compared as such.
    pub(super) fn of_any_provider(&self) -> Self {
        if self.has_templates() {
            return self.clone();
        }
        let generic = |backend: &&Arc<Backend>| matches!(***backend, Backend::Other(_));
        Self {
            family: Family::Any,
            backend: self.backend.as_ref().filter(generic).cloned(),
        }
    }

    /// `None` for an unknown store.
    pub(super) fn backend(&self) -> Option<&Backend> {
        self.backend.as_deref()
    }

    /// As events call it.
    pub(super) fn provider_name(&self) -> String {
        match &self.family {
            Family::Of(provider) => provider.to_string(),
            Family::Any | Family::Unknown => "unknown".to_owned(),
        }
    }

    /// Whether the names of a reference depend on more than its key.
    pub(super) fn has_templates(&self) -> bool {
        matches!(self.backend.as_deref(), Some(Backend::Webhook(_)))
    }

    /// Whether they may depend on its property.
    pub(super) fn takes_properties(&self) -> bool {
        self.backend.is_none() || self.has_templates()
    }

    pub(super) fn settle(&self) -> Option<Settle> {
        self.backend.as_ref()?.settle()
    }

    pub(super) fn rules(&self) -> &dyn Rules {
        provider::rules(self.backend.as_deref())
    }
}

/// What a reference names, as it is stored in the index.
#[derive(Debug)]
pub(super) enum Form {
    Key(Box<str>),
    Find(Arc<Find>),
}

/// Nearly every key is read by one object.
#[derive(Debug)]
enum Postings {
    One(Posting),
    #[expect(
        clippy::box_collection,
        reason = "a third of the size, and there is one for each key"
    )]
    Many(Box<HashSet<Posting>>),
}

/// `keys` is indexed by a keyed hash of the canonical name: every candidate is then compared in full. An empty
/// family, mostly [`Family::Unknown`], costs an event nothing.
///
/// Patterns are stored by the settings of the store, so that stores with equal settings share the work.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    hasher: RandomState,
    /// One for each provider in use: so few that a linear search is the fastest.
    keys: Vec<(Family, Keys)>,
    finds: HashMap<Family, HashMap<Search, HashSet<Posting>>>,
}

type Keys = HashMap<u64, Postings, BuildHasherDefault<Hashed>>;

/// Passes a hash through.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    /// Only for keys that are no hash, which do not occur.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A pattern with the settings of a store.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Search {
    backend: Option<Arc<Backend>>,
    find: Arc<Find>,
}

impl Search {
    fn new(view: &View, find: &Arc<Find>) -> Self {
        Self {
            backend: view.backend.clone(),
            find: Arc::clone(find),
        }
    }
}

impl Lookup {
    #[expect(
        clippy::mutable_key_type,
        reason = "patterns are compared and hashed by their source"
    )]
    pub(super) fn add(&mut self, view: &View, named: Named<'_>, posting: Posting) {
        let Self {
            hasher,
            keys,
            finds,
        } = self;
        match named {
            Named::Key(remote) => {
                let keys = keys_of(keys, &view.family);
                view.rules().names(
                    remote,
                    &mut |name| match keys.entry(hasher.hash_one(name)) {
                        Entry::Vacant(entry) => {
                            entry.insert(Postings::One(posting));
                        }
                        Entry::Occupied(entry) => entry.into_mut().add(posting),
                    },
                );
            }
            Named::Find(find) => {
                let searches = finds.entry(view.family.clone()).or_default();
                let search = searches.entry(Search::new(view, find)).or_default();
                search.insert(posting);
            }
        }
    }

    pub(super) fn remove(&mut self, view: &View, named: Named<'_>, posting: Posting) {
        let Self {
            hasher,
            keys,
            finds,
        } = self;
        match named {
            Named::Key(remote) => {
                let of_family = keys_of(keys, &view.family);
                view.rules().names(remote, &mut |name| {
                    if let Entry::Occupied(mut entry) = of_family.entry(hasher.hash_one(name))
                        && entry.get_mut().remove(posting)
                    {
                        entry.remove();
                    }
                });
                if of_family.is_empty() {
                    keys.retain(|(_, keys)| !keys.is_empty());
                }
            }
            Named::Find(find) => {
                let Some(searches) = finds.get_mut(&view.family) else {
                    return;
                };
                let search = Search::new(view, find);
                if let Some(postings) = searches.get_mut(&search) {
                    postings.remove(&posting);
                    if postings.is_empty() {
                        searches.remove(&search);
                    }
                }
                if searches.is_empty() {
                    finds.remove(&view.family);
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.finds.is_empty()
    }

    /// The candidates of the family for a key, possibly more than once.
    pub(super) fn candidates(
        &self,
        family: &Family,
        query: &Query<'_>,
        mut found: impl FnMut(Posting),
    ) {
        let Some((_, keys)) = self.keys.iter().find(|(other, _)| other == family) else {
            return;
        };
        for name in &query.names {
            match keys.get(&self.hasher.hash_one(&**name)) {
                None => {}
                Some(Postings::One(posting)) => found(*posting),
                Some(Postings::Many(postings)) => postings.iter().copied().for_each(&mut found),
            }
        }
    }

    /// The objects of the family with a pattern that may find the secret.
    pub(super) fn finders(
        &self,
        family: &Family,
        query: &Query<'_>,
        mut found: impl FnMut(Posting),
    ) {
        for (search, postings) in self.finds.get(family).into_iter().flatten() {
            let (rules, pattern) = (
                provider::rules(search.backend.as_deref()),
                search.find.pattern(),
            );
            if rules.reaches(&Reading::Find(pattern), query) && rules.finds(&pattern, query) {
                postings.iter().copied().for_each(&mut found);
            }
        }
    }
}

impl Postings {
    fn add(&mut self, posting: Posting) {
        match self {
            Self::One(only) if *only == posting => {}
            Self::One(first) => *self = Self::Many(Box::new(HashSet::from([*first, posting]))),
            Self::Many(postings) => {
                postings.insert(posting);
            }
        }
    }

    /// Returns whether none is left.
    fn remove(&mut self, posting: Posting) -> bool {
        match self {
            Self::One(only) => *only == posting,
            Self::Many(postings) => {
                postings.remove(&posting);
                postings.is_empty()
            }
        }
    }
}

fn keys_of<'k>(keys: &'k mut Vec<(Family, Keys)>, family: &Family) -> &'k mut Keys {
    let place = keys.iter().position(|(other, _)| other == family);
    let place = place.unwrap_or_else(|| {
        keys.push((family.clone(), Keys::default()));
        keys.len() - 1
    });
    &mut keys[place].1
}
