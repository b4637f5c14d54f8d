//! Stores whose readers get the new value late: `refresh.settle`.

use eso_relay::event::{Pattern, Settle, StoreKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::matching::index::StoreRef;

/// Stores that send an event before their own replicas and caches have the new value. Objects that read through them
/// are refreshed a second time, so long after the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreSettle {
    /// Default: both kinds.
    #[serde(default)]
    pub kind: Option<StoreKind>,
    /// The stores' name; `*` matches any characters.
    pub name: Pattern,
    /// At most 10 min.
    pub after: Settle,
}

/// The longest settle of the stores.
pub(crate) fn longest<'a>(
    settles: &[StoreSettle],
    stores: impl IntoIterator<Item = &'a StoreRef>,
) -> Option<Settle> {
    if settles.is_empty() {
        return None;
    }
    stores
        .into_iter()
        .flat_map(|store| settles.iter().filter(|settle| settle.holds_for(store)))
        .map(|settle| settle.after)
        .max()
}

impl StoreSettle {
    fn holds_for(&self, store: &StoreRef) -> bool {
        self.kind.is_none_or(|kind| Some(kind) == store.kind()) && self.name.matches(store.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_of_what_the_stores_need_counts() {
        let settles: Vec<StoreSettle> = serde_json::from_str(
            r#"[{"kind": "ClusterSecretStore", "name": "akeyless*", "after": "2s"},
                {"name": "*-eu", "after": "5s"}]"#,
        )
        .unwrap();
        let cluster = |name: &str| StoreRef::Cluster { name: name.into() };
        let own = |name: &str| StoreRef::Namespaced {
            namespace: "team".into(),
            name: name.into(),
        };
        for (stores, expected) in [
            (vec![cluster("akeyless")], Some("2s")),
            (vec![cluster("akeyless-eu")], Some("5s")),
            (vec![cluster("akeyless"), own("vault-eu")], Some("5s")),
            (vec![own("akeyless"), own("vault")], None),
            (vec![], None),
        ] {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(longest(&settles, &stores), expected, "{stores:?}");
        }
    }

    #[test]
    fn a_settle_beyond_its_bound_is_refused() {
        let too_long = r#"{"name": "*", "after": "1h"}"#;
        let error = serde_json::from_str::<StoreSettle>(too_long).unwrap_err();
        assert!(error.to_string().contains("10 minutes"), "{error}");
    }
}
