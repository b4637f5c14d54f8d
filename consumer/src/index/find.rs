//! `dataFrom[].find`: compiled once for each distinct pattern, however many objects use it.

use std::{
    cell::OnceCell,
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::Arc,
};

use tracing::warn;

use super::{change::FindSpec, regexp::Regexp};
use crate::{
    provider::{self, Provider},
    target::Target,
};

#[derive(Debug)]
pub(super) struct Find {
    spec: FindSpec,
    regexp: Option<Regexp>,
}

/// An event's key in every way in which a provider may show it to a regular expression.
pub(super) struct Names<'k> {
    key: &'k str,
    slashed: OnceCell<String>,
}

impl<'k> Names<'k> {
    pub(super) fn new(key: &'k str) -> Self {
        Self {
            key,
            slashed: OnceCell::new(),
        }
    }

    /// As it was sent, and with and without a leading slash.
    fn any(&self, matches: impl Fn(&str) -> bool) -> bool {
        matches(self.key)
            || match self.key.strip_prefix('/') {
                Some(bare) => matches(bare),
                None => matches(self.slashed.get_or_init(|| format!("/{}", self.key))),
            }
    }
}

impl Find {
    pub(super) fn spec(&self) -> &FindSpec {
        &self.spec
    }

    pub(super) fn may_match(&self, provider: Option<&Provider>, names: &Names<'_>) -> bool {
        let below = |path: &String| provider::is_below(provider, path, names.key);
        let fits = |regexp: &Regexp| names.any(|name| regexp.may_match(name));
        self.spec.path.as_ref().is_none_or(below) && self.regexp.as_ref().is_none_or(fits)
    }

    /// Whether secrets below `prefix` may be among those it finds: one path holds the other.
    pub(super) fn may_overlap(&self, provider: Option<&Provider>, prefix: &str) -> bool {
        let path = self.spec.path.as_deref().unwrap_or_default();
        let (path, prefix) = (
            provider::canonical(provider, path).trim_end_matches('/'),
            provider::canonical(provider, prefix).trim_end_matches('/'),
        );
        path.starts_with(prefix) || prefix.starts_with(path)
    }
}

impl PartialEq for Find {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl Eq for Find {}

impl Hash for Find {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.spec.hash(state);
    }
}

/// All patterns in use.
#[derive(Debug, Default)]
pub(super) struct Finds(HashMap<FindSpec, Arc<Find>>);

impl Finds {
    pub(super) fn intern(&mut self, spec: FindSpec, target: &Target) -> Arc<Find> {
        if let Some(find) = self.0.get(&spec) {
            return Arc::clone(find);
        }
        let regexp = spec.regexp.as_deref().map(|source| {
            let (regexp, problem) = Regexp::new(source);
            if let Some(problem) = problem {
                warn!(object = %target, regexp = source, problem, "a find.name.regexp will match every secret");
            }
            regexp
        });
        let find = Arc::new(Find {
            spec: spec.clone(),
            regexp,
        });
        self.0.insert(spec, Arc::clone(&find));
        find
    }

    /// Forgets the pattern if nobody else uses it.
    pub(super) fn release(&mut self, find: &Arc<Find>) {
        // Two: the caller's and our own.
        if Arc::strong_count(find) <= 2 {
            self.0.remove(&find.spec);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
