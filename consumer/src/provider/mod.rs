//! How each provider reads the keys that its references name: one file for each that has rules of
//! its own.

mod akeyless;
mod generic;

use std::sync::Arc;

use eso_relay::{Slug, event::GENERIC};
use serde_json::Value;

/// What stands behind a store: the one key of `spec.provider` (ESO `secretstore_types.go`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Provider {
    Akeyless,
    /// Any other provider of ESO's union. Keeps its name in the form of `plain`, so that an
    /// event of the same name means its stores.
    Other(Arc<str>),
}

impl Provider {
    /// By ESO's name of it, or by an event's.
    pub fn named(name: &str) -> Self {
        match plain(name) {
            name if name == "akeyless" => Self::Akeyless,
            name => Self::Other(name.into()),
        }
    }

    /// From a store's `spec.provider`; `None` when that does not name exactly one provider.
    pub fn of_store(provider: &Value) -> Option<Self> {
        let provider = provider.as_object()?;
        match provider.keys().next() {
            Some(name) if provider.len() == 1 => Some(Self::named(name)),
            _ => None,
        }
    }

    /// Whose stores an event means; `None` for `generic`, which means every store.
    pub fn of_event(provider: &Slug) -> Option<Self> {
        (provider.as_str() != GENERIC).then(|| Self::named(provider.as_str()))
    }

    /// The one form of all the ways to write a key. Taking the form of a form changes nothing.
    pub fn canonical<'k>(&self, key: &'k str) -> &'k str {
        match self {
            Self::Akeyless => akeyless::canonical(key),
            Self::Other(_) => generic::canonical(key),
        }
    }

    /// Whether `dataFrom[].find.path` takes in the secret of this key.
    pub fn is_below(&self, path: &str, key: &str) -> bool {
        match self {
            Self::Akeyless => akeyless::is_below(path, key),
            Self::Other(_) => generic::is_below(path, key),
        }
    }
}

/// The form of a key whose provider is unknown or does not matter.
pub(crate) fn canonical<'k>(provider: Option<&Provider>, key: &'k str) -> &'k str {
    provider.map_or_else(|| generic::canonical(key), |known| known.canonical(key))
}

/// As [`Provider::is_below`], for a provider that is unknown or does not matter.
pub(crate) fn is_below(provider: Option<&Provider>, path: &str, key: &str) -> bool {
    provider.map_or_else(
        || generic::is_below(path, key),
        |known| known.is_below(path, key),
    )
}

/// ESO writes `azurekv` and `onepasswordSDK` where an event, whose provider is a slug, may say
/// `azure-kv` and `onepassword-sdk`.
fn plain(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_store_has_the_provider_that_its_spec_names() {
        let cases = [
            (json!({"akeyless": {"x": 1}}), Some(Provider::Akeyless)),
            (json!({"vault": {}}), Some(Provider::Other("vault".into()))),
            (json!({"vault": {}, "aws": {}}), None),
            (json!({}), None),
            (json!("akeyless"), None),
            (Value::Null, None),
        ];
        for (spec, provider) in cases {
            assert_eq!(Provider::of_store(&spec), provider, "{spec}");
        }
    }

    #[test]
    fn an_event_and_a_store_mean_the_same_provider_however_it_is_spelt() {
        for (event, eso) in [
            ("akeyless", "akeyless"),
            ("azure-kv", "azurekv"),
            ("gcp-sm", "gcpsm"),
            ("onepassword-sdk", "onepasswordSDK"),
        ] {
            let event = Provider::of_event(&event.parse().unwrap());
            assert_eq!(event, Provider::of_store(&json!({ eso: {} })), "{eso}");
        }
        assert_eq!(Provider::of_event(&"generic".parse().unwrap()), None);
    }

    proptest! {
        #[test]
        fn the_canonical_form_of_a_canonical_form_is_itself(key in "[/a-c]{0,8}") {
            for provider in [Provider::Akeyless, Provider::named("vault")] {
                let form = provider.canonical(&key);
                prop_assert_eq!(provider.canonical(form), form);
            }
        }
    }
}
