//! Whom a store keeps out (ESO `pkg/controllers/secretstore/client_manager.go`,
//! `validateNamespaceConditions`).

use tracing::warn;

use super::change::{Admits, Admitted, StoreRef};
use crate::{
    matching::{
        provider::Regexp,
        selector::{LabelSelector, Labels},
    },
    object::Unrefreshable,
};

/// [`Admits`], compiled. By default open.
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
                    "an entry of conditions.namespaceRegexes will match every namespace"
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

    /// Whether it lets every namespace in.
    pub(super) fn is_open(&self) -> bool {
        self.admits == Admits::default()
    }

    /// Whether the labels of a namespace make a difference.
    pub(super) fn asks_for_labels(&self) -> bool {
        let only = self.only.as_ref();
        only.is_some_and(|only| !only.selectors.is_empty())
    }

    /// Why objects of the namespace are not synced, if they read anything through the store.
    /// `labels`: the namespace's, as far as they are known.
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
            };
            let gate = Gate::new(admits.clone(), &name);
            assert_eq!(gate.refuses("team-a", None), reason, "{admits:?}");
        }
    }

    #[test]
    fn a_namespace_is_let_in_by_its_labels_and_while_they_are_not_known() {
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
            // It selects whatever there is.
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
            };
            let store = StoreRef::Cluster { name: "s".into() };
            let gate = Gate::new(admits.clone(), &store);
            let known = known.map(labels);
            let found = gate.refuses("team-a", known.as_ref()).is_some();
            assert_eq!(found, refused, "{admits:?} {known:?}");
        }
    }
}
