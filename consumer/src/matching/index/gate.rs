//! Which namespaces a store denies (ESO `pkg/controllers/secretstore/client_manager.go`,
//! `validateNamespaceConditions`), and which objects become allowed when that changes.

use std::collections::{BTreeSet, HashMap};

use super::{
    Index, Observation,
    change::{Admits, Admitted, StoreRef},
};
use crate::{
    matching::{
        provider::Regexp,
        selector::{LabelSelector, Labels},
        tenancy::{Permits, Permitted},
    },
    object::Unrefreshable,
};
use tracing::warn;

/// [`Admits`], compiled. By default it admits all.
#[derive(Debug, Default)]
pub(super) struct Gate {
    admits: Admits,
    only: Option<Only>,
}

#[derive(Debug)]
struct Only {
    names: Vec<String>,
    regexes: Vec<Regexp>,
    selectors: Vec<LabelSelector>,
}

impl PartialEq for Gate {
    fn eq(&self, other: &Self) -> bool {
        self.admits == other.admits
    }
}

impl Gate {
    pub(super) fn new(admits: Admits, store: &StoreRef) -> Self {
        let compiled = |source: &String| {
            let (regex, problem) = Regexp::new(source);
            if let Some(problem) = problem {
                let store = store.name();
                warn!(
                    store,
                    regex = source,
                    problem,
                    "an entry of conditions.namespaceRegexes matches every namespace, as it cannot be evaluated"
                );
            }
            regex
        };
        let only = |admitted: &Admitted| Only {
            regexes: admitted.regexes.iter().map(compiled).collect(),
            names: admitted.names.clone(),
            selectors: admitted.selectors.clone(),
        };
        Self {
            only: admits.namespaces.as_ref().map(only),
            admits,
        }
    }

    pub(super) fn role(&self) -> Option<&str> {
        self.admits.role.as_deref()
    }

    /// Whether it admits every namespace.
    pub(super) fn is_open(&self) -> bool {
        self.admits == Admits::default()
    }

    /// Whether the labels of a namespace make a difference.
    pub(super) fn asks_for_labels(&self) -> bool {
        let only = self.only.as_ref();
        only.is_some_and(|only| !only.selectors.is_empty())
    }

    /// Why ESO does not sync objects of the namespace that read through the store. `labels`: those of the namespace,
    /// if known.
    pub(super) fn refuses(
        &self,
        namespace: &str,
        labels: Option<&Labels>,
    ) -> Option<Unrefreshable> {
        if self.admits.foreign {
            return Some(Unrefreshable::ForeignController);
        }
        let admitted = self.only.as_ref().is_none_or(|only| {
            only.names.iter().any(|name| name == namespace)
                || only.regexes.iter().any(|regex| regex.may_match(namespace))
                || only
                    .selectors
                    .iter()
                    .any(|selector| labels.is_none_or(|labels| selector.selects(labels)))
        });
        (!admitted).then_some(Unrefreshable::StoreDeniesNamespace)
    }
}

/// The known Namespaces. Unknown labels deny nothing.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    known: HashMap<String, Namespace>,
    listed: Listed,
}

/// Whether all namespaces are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Listed {
    #[default]
    NotYet,
    All,
    /// They may not be listed.
    Denied,
}

#[derive(Debug, Default)]
struct Namespace {
    labels: Labels,
    permitted: Permitted,
    permits: Permits,
    /// The generation of the list that it was last part of.
    seen: u64,
}

impl Namespaces {
    pub(super) fn appear(&mut self, name: String, labels: Labels, seen: u64) {
        let known = self.known.entry(name).or_default();
        (known.labels, known.seen) = (labels, seen);
    }

    pub(super) fn permit(&mut self, name: &str, permitted: Permitted) {
        let (permits, problems) = Permits::new(&permitted);
        for problem in problems {
            warn!(
                namespace = name,
                problem,
                "an annotation of this namespace permits nothing, as its expression cannot be evaluated"
            );
        }
        if let Some(known) = self.known.get_mut(name) {
            (known.permitted, known.permits) = (permitted, permits);
        }
    }

    pub(super) fn vanish(&mut self, name: &str) {
        self.known.remove(name);
    }

    /// Removes those that were not listed since.
    pub(super) fn sweep(&mut self, since: u64) {
        self.known.retain(|_, namespace| namespace.seen >= since);
    }

    pub(super) fn labels(&self, name: &str) -> Option<&Labels> {
        Some(&self.known.get(name)?.labels)
    }

    fn permitted(&self, name: &str) -> Option<&Permitted> {
        Some(&self.known.get(name)?.permitted)
    }

    pub(super) fn permits(&self, name: &str) -> Option<&Permits> {
        Some(&self.known.get(name)?.permits)
    }

    pub(super) fn set_listed(&mut self, listed: Listed) {
        self.listed = listed;
    }

    pub(super) fn listed(&self) -> Listed {
        self.listed
    }
}

impl Index {
    /// The denied objects that read through this store, if its gate is about to change.
    pub(super) fn denied_by(&self, store: u32, next: &Gate) -> BTreeSet<u32> {
        let store = self.stores.get(store);
        let store = store.filter(|store| !store.gate.is_open() && store.gate != *next);
        let users = store.into_iter().flat_map(|store| &store.users);
        users
            .copied()
            .filter(|user| self.is_denied(*user))
            .collect()
    }

    /// Those of them that no store denies any more.
    pub(super) fn admitted(&self, denied: BTreeSet<u32>) -> Vec<Observation> {
        let now = denied.into_iter().filter(|user| !self.is_denied(*user));
        let objects = now.filter_map(|user| self.objects.get(user));
        objects
            .map(|object| Observation::Reads(object.target.clone()))
            .collect()
    }

    pub(super) fn put_namespace(
        &mut self,
        name: &str,
        labels: Labels,
        permitted: Permitted,
    ) -> Vec<Observation> {
        let changed = self.namespaces.labels(name) != Some(&labels);
        let asking = self.stores.iter().filter(|_| changed);
        let asking = asking.filter(|(_, store)| store.gate.asks_for_labels());
        let users = asking.flat_map(|(_, store)| &store.users);
        let within = |user: &u32| {
            let object = self.objects.get(*user);
            object.is_some_and(|object| object.target.namespace() == name)
        };
        let denied = users.copied().filter(within);
        let mut denied: BTreeSet<u32> = denied.filter(|user| self.is_denied(*user)).collect();
        let permits_other = self.namespaces.permitted(name) != Some(&permitted);
        if permits_other {
            denied.extend(self.denied_in(name));
        }
        self.namespaces
            .appear(name.to_owned(), labels, self.generation);
        if permits_other {
            self.namespaces.permit(name, permitted);
        }
        self.revision += u64::from(changed || permits_other);
        self.admitted(denied)
    }

    fn is_denied(&self, object: u32) -> bool {
        let found = self.objects.get(object);
        found.is_some_and(|found| self.refused(object, found).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_let_in_by_any_name_or_expression() {
        use Unrefreshable::{ForeignController, StoreDeniesNamespace};
        let only = |names: &[&str], regexes: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
            Some(Admitted {
                names: owned(names),
                regexes: owned(regexes),
                selectors: Vec::new(),
            })
        };
        let name = StoreRef::Cluster { name: "s".into() };
        for (foreign, namespaces, reason) in [
            (false, None, None),
            (false, only(&["team-a", "team-b"], &[]), None),
            (false, only(&["team"], &[]), Some(StoreDeniesNamespace)),
            // Unanchored, as Go's MatchString.
            (false, only(&["x"], &["^prod-", "am-a"]), None),
            (false, only(&[], &["^prod-"]), Some(StoreDeniesNamespace)),
            (false, only(&[], &["("]), None),
            (false, only(&[], &[]), Some(StoreDeniesNamespace)),
            (true, None, Some(ForeignController)),
            (true, only(&[], &[]), Some(ForeignController)),
        ] {
            let admits = Admits {
                foreign,
                namespaces,
                role: None,
            };
            let gate = Gate::new(admits.clone(), &name);
            assert_eq!(gate.refuses("team-a", None), reason, "{admits:?}");
        }
    }

    #[test]
    fn labels_admit_a_namespace_also_while_unknown() {
        let labels = |text: &str| {
            let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
            pairs
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect::<Labels>()
        };
        for (selectors, known, refused) in [
            (&["env=prod"][..], Some("env=prod,team=a"), false),
            (&["env=prod"], Some("env=dev"), true),
            (&["env=prod"], Some(""), true),
            (&["env=prod", "team in (a,b)"], Some("team=b"), false),
            (&["!env"], Some("team=b"), false),
            // It selects everything.
            (&[""], Some(""), false),
            (&["env=prod"], None, false),
            // No selector: the labels make no difference.
            (&[], None, true),
        ] {
            let selectors = selectors.iter().map(|text| text.parse().unwrap());
            let admits = Admits {
                foreign: false,
                namespaces: Some(Admitted {
                    selectors: selectors.collect(),
                    ..Admitted::default()
                }),
                role: None,
            };
            let store = StoreRef::Cluster { name: "s".into() };
            let gate = Gate::new(admits.clone(), &store);
            let known = known.map(labels);
            let found = gate.refuses("team-a", known.as_ref()).is_some();
            assert_eq!(found, refused, "{admits:?} {known:?}");
        }
    }
}
