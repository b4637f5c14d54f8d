//! From an event's key to those who read it.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use super::find::{Find, Names};
use crate::provider::{self, Provider};

/// An object that reads something through a store. Tenancy is a matter of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Posting {
    pub(super) object: u32,
    pub(super) store: u32,
}

/// Which references a key is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Family {
    /// Those of every store: for events that name no provider.
    Any,
    /// Those of stores whose provider is not known, be it that the store is missing or that we may
    /// not see it.
    Unknown,
    Of(Provider),
}

impl Family {
    pub(super) fn provider(&self) -> Option<&Provider> {
        match self {
            Self::Any | Self::Unknown => None,
            Self::Of(provider) => Some(provider),
        }
    }
}

/// What a reference names, as the index keeps it.
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
        reason = "a third of the size, and there is one for every key"
    )]
    Many(Box<HashSet<Posting>>),
}

/// The key of `keys` is a keyed hash of family and canonical key, not the key: should two keys
/// ever share one, an event means an object too many, which costs one refresh and loses nothing.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    hasher: RandomState,
    keys: HashMap<u64, Postings>,
    finds: HashMap<Family, HashMap<Arc<Find>, HashSet<Posting>>>,
}

impl Lookup {
    pub(super) fn add(&mut self, family: &Family, form: &Form, posting: Posting) {
        match form {
            Form::Key(key) => match self.keys.entry(hash(&self.hasher, family, key)) {
                Entry::Vacant(entry) => {
                    entry.insert(Postings::One(posting));
                }
                Entry::Occupied(entry) => entry.into_mut().add(posting),
            },
            Form::Find(find) => {
                if !self.finds.contains_key(family) {
                    self.finds.insert(family.clone(), HashMap::new());
                }
                if let Some(finds) = self.finds.get_mut(family) {
                    finds.entry(Arc::clone(find)).or_default().insert(posting);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, family: &Family, form: &Form, posting: Posting) {
        match form {
            Form::Key(key) => {
                if let Entry::Occupied(mut entry) = self.keys.entry(hash(&self.hasher, family, key))
                    && entry.get_mut().remove(posting)
                {
                    entry.remove();
                }
            }
            Form::Find(find) => {
                let Some(finds) = self.finds.get_mut(family) else {
                    return;
                };
                if let Some(postings) = finds.get_mut(find) {
                    postings.remove(&posting);
                    if postings.is_empty() {
                        finds.remove(find);
                    }
                }
                if finds.is_empty() {
                    self.finds.remove(family);
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.finds.is_empty()
    }

    /// Everyone in the family who reads this key, possibly more than once.
    pub(super) fn exact(&self, family: &Family, key: &str, mut found: impl FnMut(Posting)) {
        match self.keys.get(&hash(&self.hasher, family, key)) {
            None => {}
            Some(Postings::One(posting)) => found(*posting),
            Some(Postings::Many(postings)) => postings.iter().copied().for_each(&mut found),
        }
        let Some(finds) = self.finds.get(family) else {
            return;
        };
        let names = Names::new(key);
        for (find, postings) in finds {
            if find.may_match(family.provider(), &names) {
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

    /// Whether nothing is left.
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

fn hash(hasher: &RandomState, family: &Family, key: &str) -> u64 {
    hasher.hash_one((family, provider::canonical(family.provider(), key)))
}
