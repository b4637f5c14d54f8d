//! Akeyless: a key is an item's full path (ESO `providers/v1/akeyless/akeyless.go`).

/// Akeyless finds an item with or without its leading slash.
pub(super) fn canonical(key: &str) -> &str {
    key.trim_start_matches('/')
}

/// ESO puts a slash at either end of the path, so it means a folder (ESO `akeyless_api.go`).
pub(super) fn is_below(path: &str, key: &str) -> bool {
    let folder = path.trim_matches('/');
    folder.is_empty()
        || canonical(key)
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
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
            assert_eq!(is_below(path, key), below, "{path} {key}");
        }
    }
}
