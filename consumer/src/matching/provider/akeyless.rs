//! Akeyless: a key is an item's full path (ESO `providers/v1/akeyless/akeyless.go`).

use super::rules::{Pattern, Query, RemoteRef, Rules};

pub(super) struct Akeyless;

/// Akeyless accepts an item with or without its leading slash.
pub(super) fn canonical(key: &str) -> &str {
    key.trim_start_matches('/')
}

/// ESO adds a slash at both ends of the path, so it is a folder (ESO `akeyless.go`,
/// `GetAllSecrets`).
fn is_in(path: &str, key: &str) -> bool {
    let folder = path.trim_matches('/');
    let rest = canonical(key).strip_prefix(folder);
    folder.is_empty() || rest.is_some_and(|rest| rest.starts_with('/'))
}

impl Rules for Akeyless {
    fn names(&self, RemoteRef { key, .. }: RemoteRef<'_>, name: &mut dyn FnMut(&str)) {
        name(canonical(key));
    }

    fn finds(&self, pattern: &Pattern<'_>, query: &Query<'_>) -> bool {
        let path = pattern.path.unwrap_or_default();
        let mut names = query.names.iter();
        names.any(|name| is_in(path, name) && pattern.fits_slashed(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_slash_is_optional() {
        assert_eq!(canonical("/prod/db"), canonical("prod/db"));
        assert_ne!(canonical("/prod/db"), canonical("/prod/db/"));
        assert_ne!(canonical("/prod/db"), canonical("/prod/DB"));
    }

    #[test]
    fn a_path_is_a_folder() {
        for (path, key, below) in [
            ("/prod", "/prod/db", true),
            ("prod/", "prod/team/db", true),
            ("/", "/db", true),
            ("", "db", true),
            ("/prod", "/production/db", false),
            ("/prod", "/prod", false),
        ] {
            assert_eq!(is_in(path, key), below, "{path} {key}");
        }
    }
}
