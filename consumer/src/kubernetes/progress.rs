//! The progress of the lists, and what may not be listed, for `/readyz`.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use eso_relay::admin::Condition;

use crate::{matching::index::Listing, object::ListKind};

/// Met once everything has been listed, unless a namespace may not be listed.
pub(super) struct Progress {
    state: Mutex<State>,
    condition: Condition,
}

struct State {
    /// Lists that have neither ended nor been denied once.
    open: usize,
    /// Whether ExternalSecrets have been listed anywhere. Until then no event would match.
    any: bool,
    complete: bool,
    /// The configured namespaces and kinds that may not be listed.
    closed: BTreeSet<(String, &'static str)>,
}

impl Progress {
    pub(super) fn new(lists: usize, condition: Condition) -> Self {
        let state = State {
            open: lists,
            any: false,
            complete: false,
            closed: BTreeSet::new(),
        };
        Self {
            state: Mutex::new(state),
            condition,
        }
    }

    /// A list has ended, `first`: for the first time. Returns whether everything is listed now.
    pub(super) fn listed(&self, listing: &Listing, first: bool) -> bool {
        self.update(first, |state| {
            state.any |= listing.kind == ListKind::ExternalSecrets;
            if let Some(closed) = closed(listing) {
                state.closed.remove(&closed);
            }
        })
    }

    /// As [`Self::listed`], for a list that is forbidden but dispensable.
    pub(super) fn denied(&self, listing: &Listing, first: bool) -> bool {
        self.update(first, |state| state.closed.extend(closed(listing)))
    }

    /// A list has failed that has never ended.
    pub(super) fn failed(&self, unmet: String) {
        self.condition.unmet(unmet);
    }

    fn update(&self, first: bool, change: impl FnOnce(&mut State)) -> bool {
        // OK to continue after a panic elsewhere: the state is consistent after each statement.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open -= usize::from(first);
        change(&mut state);
        let completes = state.open == 0 && state.any && !state.complete;
        state.complete |= completes;
        match state.unmet() {
            Some(unmet) => self.condition.unmet(unmet),
            None if state.complete => self.condition.met(),
            None => {}
        }
        completes
    }
}

impl State {
    fn unmet(&self) -> Option<String> {
        if self.closed.is_empty() || self.open > 0 {
            return None;
        }
        let closed = self.closed.iter();
        let closed: Vec<_> = closed
            .map(|(namespace, kind)| format!("{kind} in {namespace}"))
            .collect();
        let rest = if self.any { "; all else is served" } else { "" };
        let closed = closed.join(", ");
        Some(format!("no permission to list {closed}{rest}"))
    }
}

/// Only the ExternalSecrets and the stores of a namespace count: other kinds are optional.
fn closed(listing: &Listing) -> Option<(String, &'static str)> {
    let kind = match listing.kind {
        ListKind::ExternalSecrets => "externalsecrets",
        ListKind::SecretStores => "secretstores",
        _ => return None,
    };
    Some((listing.namespace.clone()?, kind))
}

#[cfg(test)]
mod tests {
    use eso_relay::admin::Readiness;

    use super::*;

    fn listing(kind: ListKind, namespace: &str) -> Listing {
        Listing {
            kind,
            namespace: Some(namespace.to_owned()),
        }
    }

    #[test]
    fn one_closed_namespace_keeps_the_others_from_nothing() {
        let readiness = Readiness::default();
        let progress = Progress::new(3, readiness.condition("kubernetes"));
        let (a, b) = (
            listing(ListKind::ExternalSecrets, "a"),
            listing(ListKind::ExternalSecrets, "b"),
        );
        let stores = listing(ListKind::SecretStores, "a");
        assert!(!progress.denied(&b, true) && !progress.listed(&stores, true));
        assert!(progress.listed(&a, true), "complete without b");
        assert!(!readiness.is_ready(), "and it says so");
        assert!(!progress.listed(&b, false), "complete only once");
        assert!(readiness.is_ready());
        assert!(!progress.denied(&a, false));
        assert!(!readiness.is_ready());
    }

    #[test]
    fn nothing_is_complete_while_every_namespace_is_closed() {
        let readiness = Readiness::default();
        let progress = Progress::new(2, readiness.condition("kubernetes"));
        let [a, b] = ["a", "b"].map(|name| listing(ListKind::ExternalSecrets, name));
        assert!(!progress.denied(&a, true) && !progress.denied(&b, true));
        assert!(!readiness.is_ready());
        assert!(progress.listed(&b, false));
    }
}
