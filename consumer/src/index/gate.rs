//! Whom a store keeps out (ESO `pkg/controllers/secretstore/client_manager.go`,
//! `validateNamespaceConditions`).

use tracing::warn;

use super::change::{Admits, Namespaces, StoreRef};
use crate::{provider::Regexp, unrefreshable::Unrefreshable};

/// [`Admits`], compiled. By default open.
#[derive(Debug, Default)]
pub(super) struct Gate {
    foreign: bool,
    only: Option<Only>,
}

#[derive(Debug)]
struct Only {
    names: Vec<String>,
    regexes: Vec<Regexp>,
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
        let only = |Namespaces { names, regexes }| Only {
            regexes: regexes.iter().map(compiled).collect(),
            names,
        };
        Self {
            foreign: admits.foreign,
            only: admits.namespaces.map(only),
        }
    }

    /// Why objects of the namespace are not synced, if they read anything through the store.
    pub(super) fn refuses(&self, namespace: &str) -> Option<Unrefreshable> {
        if self.foreign {
            return Some(Unrefreshable::ForeignController);
        }
        let admitted = self.only.as_ref().is_none_or(|only| {
            only.names.iter().any(|name| name == namespace)
                || only.regexes.iter().any(|regex| regex.may_match(namespace))
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
            Some(Namespaces {
                names: owned(names),
                regexes: owned(regexes),
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
            assert_eq!(gate.refuses("team-a"), reason, "{admits:?}");
        }
    }
}
