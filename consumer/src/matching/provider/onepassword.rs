//! 1Password: Connect takes an item's title or id for a key (ESO
//! `providers/v1/onepassword/onepassword.go`, `findItem`), the SDK `item[/section]/field` or an item
//! (ESO `providers/v1/onepasswordsdk/client.go`).
//!
//! Secret references have no case (1Password, secret reference syntax), so names have none here.

use std::{borrow::Cow, time::Duration};

use eso_relay::event::{InvalidSettle, Settle};
use serde_json::Value;

use super::rules::{Pattern, Query, RemoteRef, Rules, Scope, setting};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OnePassword {
    sdk: bool,
    /// Whether the SDK reads an Environment's variables, which events about items do not contain.
    environment: bool,
    /// How long the SDK's client may return a cached value.
    cache: Option<Settle>,
}

impl OnePassword {
    pub(super) fn connect() -> Self {
        Self {
            sdk: false,
            environment: false,
            cache: None,
        }
    }

    pub(super) fn sdk(spec: &Value) -> Self {
        Self {
            sdk: true,
            environment: setting(spec, "environment").is_some(),
            cache: cache(spec),
        }
    }

    pub(super) fn cache(&self) -> Option<Settle> {
        self.cache
    }
}

/// ESO caches only if the store enables it, for 5 min by default (`onepasswordsdk/provider.go`, `NewClient`). A TTL
/// longer than the longest settle is ignored.
fn cache(spec: &Value) -> Option<Settle> {
    let ttl = spec["cache"]
        .as_object()?
        .get("ttl")
        .and_then(Value::as_str);
    match ttl.unwrap_or_default().parse::<Settle>() {
        Err(InvalidSettle::TooLong) => None,
        Err(InvalidSettle::Zero | InvalidSettle::NotADuration) => {
            Settle::try_from(Duration::from_secs(300)).ok()
        }
        Ok(ttl) => Some(ttl),
    }
}

fn canonical(key: &str) -> String {
    key.trim_start_matches('/').to_lowercase()
}

pub(super) fn query_names<'e>(key: &'e str, _: Scope<'_>, names: &mut Vec<Cow<'e, str>>) {
    names.push(Cow::Owned(canonical(key)));
}

/// An id has 26 lower-case letters and digits (Connect `spec.yaml`), and says nothing about the title.
fn is_id(name: &str) -> bool {
    let of_an_id = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    name.len() == 26 && name.bytes().all(of_an_id)
}

impl Rules for OnePassword {
    fn names(&self, RemoteRef { key, .. }: RemoteRef<'_>, name: &mut dyn FnMut(&str)) {
        let key = canonical(key);
        if self.sdk
            && let Some((item, _)) = key.split_once('/')
        {
            name(item);
        }
        name(&key);
    }

    /// `path` is a title, which tags override; the expression is for labels of fields and files, which no event
    /// contains (`GetAllSecrets`).
    fn finds(&self, pattern: &Pattern<'_>, query: &Query<'_>) -> bool {
        let title = pattern.path.map(canonical);
        self.environment
            || pattern.tags
            || title.is_none_or(|title| {
                let untold = query.names.iter().all(|name| is_id(name));
                untold || query.names.iter().any(|name| *name == title)
            })
    }

    fn root<'p>(&self, _: &Pattern<'p>) -> Option<&'p str> {
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::matching::provider::{
        Backend,
        tests::{finds, reads},
    };

    const ID: &str = "abcdefghijklmnopqrstuvwxy1";

    #[test]
    fn an_item_is_named_by_title_and_by_id() {
        let keys = &["Database", ID][..];
        for (spec, key, read) in [
            (r#"{"onepassword": {}}"#, "Database", true),
            (r#"{"onepassword": {}}"#, ID, true),
            (r#"{"onepassword": {}}"#, "Databases", false),
            (r#"{"onepassword": {}}"#, "Database/password", false),
            (r#"{"onepasswordSDK": {}}"#, "Database/password", true),
            (r#"{"onepasswordSDK": {}}"#, "database/admin/password", true),
            (r#"{"onepasswordSDK": {}}"#, "/Database", true),
            (r#"{"onepasswordSDK": {}}"#, "Web/Database", false),
        ] {
            let found = reads(spec, key, ("onepassword", keys, &[]));
            assert_eq!(found, read, "{spec} {key}");
        }
    }

    #[test]
    fn a_store_settles_when_its_cache_has_run_out() {
        for (spec, settle) in [
            (
                r#"{"onepasswordSDK": {"cache": {"ttl": "1m0s"}}}"#,
                Some("1m"),
            ),
            (r#"{"onepasswordSDK": {"cache": {}}}"#, Some("5m")),
            (
                r#"{"onepasswordSDK": {"cache": {"ttl": "0s"}}}"#,
                Some("5m"),
            ),
            (r#"{"onepasswordSDK": {"cache": {"ttl": "1h0m0s"}}}"#, None),
            (r#"{"onepasswordSDK": {}}"#, None),
            (r#"{"onepassword": {"cache": {}}}"#, None),
            (r#"{"akeyless": {}}"#, None),
        ] {
            let backend = Backend::of_store(&serde_json::from_str(spec).unwrap()).unwrap();
            let settle = settle.map(|text| text.parse().unwrap());
            assert_eq!(backend.settle(), settle, "{spec}");
        }
    }

    #[test]
    fn a_find_goes_by_the_title_alone() {
        for (spec, keys, path, found) in [
            (
                r#"{"onepassword": {}}"#,
                &["Database", ID][..],
                Some("Database"),
                true,
            ),
            (
                r#"{"onepassword": {}}"#,
                &["Database", ID],
                Some("Web"),
                false,
            ),
            (r#"{"onepassword": {}}"#, &[ID], Some("Web"), true),
            (r#"{"onepasswordSDK": {}}"#, &["Database"], None, true),
            (
                r#"{"onepasswordSDK": {"environment": "e"}}"#,
                &["Database"],
                Some("Web"),
                true,
            ),
        ] {
            let hit = finds(spec, path, Some("^label$"), ("onepassword", keys, &[]));
            assert_eq!(hit, found, "{spec} {keys:?} {path:?}");
        }
    }
}
