//! GitLab CI/CD variables (ESO `providers/v1/gitlab/gitlab.go`): of a project, then of its groups.

use std::borrow::Cow;

use super::rules::{Pattern, Query, RemoteRef, Rules, Scope};

pub(super) struct Gitlab;

/// A variable's key has no hyphens, so ESO reads them as underscores (`GetSecret`).
fn canonical(key: &str) -> String {
    key.replace('-', "_")
}

pub(super) fn query_names<'e>(key: &'e str, _: Scope<'_>, names: &mut Vec<Cow<'e, str>>) {
    names.push(Cow::Owned(canonical(key)));
}

impl Rules for Gitlab {
    fn names(&self, RemoteRef { key, .. }: RemoteRef<'_>, name: &mut dyn FnMut(&str)) {
        name(&canonical(key));
    }

    /// `path` is an error there, so it is ignored.
    fn finds(&self, pattern: &Pattern<'_>, query: &Query<'_>) -> bool {
        query.names.iter().any(|name| pattern.fits(name))
    }
}

#[cfg(test)]
mod tests {
    use crate::matching::provider::tests::{finds, reads};

    #[test]
    fn a_hyphen_is_an_underscore() {
        for (key, read) in [
            ("DB-URL", true),
            ("DB_URL", true),
            ("db_url", false),
            ("DB", false),
        ] {
            assert_eq!(
                reads(r#"{"gitlab": {}}"#, key, ("gitlab", &["DB_URL"], &[])),
                read,
                "{key}"
            );
        }
        let event = ("gitlab", &["DB_URL"][..], &[][..]);
        assert!(finds(r#"{"gitlab": {}}"#, None, Some("^DB_"), event));
        assert!(!finds(r#"{"gitlab": {}}"#, None, Some("^WEB"), event));
    }
}
