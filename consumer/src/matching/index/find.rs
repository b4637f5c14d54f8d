//! The patterns of `dataFrom[].find`: each distinct one is compiled once.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::Arc,
};

use tracing::warn;

use super::change::FindSpec;
use crate::{
    matching::provider::{Pattern, Regexp},
    object::ObjectRef,
};

#[derive(Debug)]
pub(super) struct Find {
    spec: FindSpec,
    regexp: Option<Regexp>,
}

impl Find {
    pub(super) fn spec(&self) -> &FindSpec {
        &self.spec
    }

    pub(super) fn pattern(&self) -> Pattern<'_> {
        Pattern {
            path: self.spec.path.as_deref(),
            regexp: self.regexp.as_ref(),
            tags: self.spec.tags,
        }
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
    pub(super) fn intern(&mut self, spec: FindSpec, target: &ObjectRef) -> Arc<Find> {
        if let Some(find) = self.0.get(&spec) {
            return Arc::clone(find);
        }
        let regexp = spec.regexp.as_deref().map(|source| {
            let (regexp, problem) = Regexp::new(source);
            if let Some(problem) = problem {
                warn!(object = %target, regexp = source, problem, "a find.name.regexp matches every secret, as it cannot be evaluated");
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

    /// Drops the pattern if no other reference uses it.
    pub(super) fn release(&mut self, find: &Arc<Find>) {
        // The caller's and the one in the map.
        if Arc::strong_count(find) <= 2 {
            self.0.remove(&find.spec);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
