//! Infisical: a key is a secret's name in a folder of an environment of a project (ESO
//! `providers/v1/infisical/client.go`, `getSecretAddress`).
//!
//! Its events contain the folder, mostly not the name. Imports between folders are unknown.

use std::borrow::Cow;

use serde_json::Value;

use super::rules::{
    Pattern, Query, Reading, RemoteRef, Rules, Scope, agree, clean, is_below, overlaps, setting,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Infisical {
    project: Option<String>,
    environment: Option<String>,
    /// Cleaned: the root is empty.
    folder: String,
    recursive: bool,
}

impl Infisical {
    pub(super) fn of(spec: &Value) -> Self {
        let scope = &spec["secretsScope"];
        Self {
            project: setting(scope, "projectSlug"),
            environment: setting(scope, "environmentSlug"),
            folder: clean(&setting(scope, "secretsPath").unwrap_or_default()),
            recursive: scope["recursive"] == true,
        }
    }

    /// The folder of a key: `K` is in the store's folder, `/a/b/K` is relative to the root, `sub/K` to the store's
    /// folder.
    fn folder(&self, key: &str) -> String {
        match key.rsplit_once('/') {
            None => self.folder.clone(),
            Some((folder, _)) if key.starts_with('/') => clean(folder),
            Some((folder, _)) => clean(&format!("{}/{folder}", self.folder)),
        }
    }

    /// The folder itself, or with `recursive` any below it; `path` is a prefix of the folder's path.
    fn lists(&self, pattern: &Pattern<'_>, folder: &str) -> bool {
        (self.folder == folder || self.recursive && is_below(&self.folder, folder))
            && pattern.starts(&format!("/{folder}"))
    }
}

/// The last part of a key.
fn name(key: &str) -> &str {
    key.rsplit_once('/').map_or(key, |(_, name)| name)
}

pub(super) fn query_names<'e>(key: &'e str, _: Scope<'_>, names: &mut Vec<Cow<'e, str>>) {
    names.push(Cow::Borrowed(name(key)));
}

impl Rules for Infisical {
    fn names(&self, RemoteRef { key, .. }: RemoteRef<'_>, each: &mut dyn FnMut(&str)) {
        each(name(key));
    }

    fn reaches(&self, reading: &Reading<'_>, query: &Query<'_>) -> bool {
        let path = query.scope.get("path").map(clean);
        agree(self.project.as_deref(), query.scope.get("project"))
            && agree(self.environment.as_deref(), query.scope.get("environment"))
            && path.is_none_or(|path| match reading {
                Reading::Key(RemoteRef { key, .. }) => self.folder(key) == path,
                Reading::Find(pattern) => self.lists(pattern, &path),
            })
    }

    fn finds(&self, pattern: &Pattern<'_>, query: &Query<'_>) -> bool {
        query.names.iter().any(|name| pattern.fits(name))
    }

    fn is_below(&self, reading: &Reading<'_>, query: &Query<'_>) -> bool {
        let mut prefixes = query.keys.iter().map(|key| clean(key));
        prefixes.any(|prefix| match reading {
            Reading::Key(RemoteRef { key, .. }) => {
                is_below(&prefix, &format!("{}/{}", self.folder(key), name(key)))
            }
            Reading::Find(_) => overlaps(&self.folder, &prefix),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::matching::provider::tests::{finds, finds_in_scope, in_scope, reads};

    const SPEC: &str = r#"{"infisical": {"secretsScope":
        {"projectSlug": "shop", "environmentSlug": "prod", "secretsPath": "/scope"}}}"#;

    /// ESO's own table (`client_test.go`, `TestGetSecretAddress`), with slashes cleaned.
    #[test]
    fn a_key_leads_where_eso_reads_it() {
        for (path, key, folder, found) in [
            ("/", "foo", "", "foo"),
            ("/scope", "foo", "scope", "foo"),
            ("/", "/foo", "", "foo"),
            ("/scope", "/foo", "", "foo"),
            ("/scope", "/foo/bar", "foo", "bar"),
            ("/scope", "/foo/bar/baz", "foo/bar", "baz"),
            ("/scope", "sub/foo", "scope/sub", "foo"),
            ("/", "a/b/foo", "a/b", "foo"),
        ] {
            let spec = json!({ "secretsScope": { "secretsPath": path } });
            let store = Infisical::of(&spec);
            assert_eq!(
                (&*store.folder(key), name(key)),
                (folder, found),
                "{path} {key}"
            );
        }
    }

    #[test]
    fn a_folder_that_changed_is_read_by_what_leads_there() {
        let place = |environment, path| {
            [
                ("project", "shop"),
                ("environment", environment),
                ("path", path),
            ]
        };
        for (key, place, read) in [
            ("DB", place("prod", "/scope"), true),
            ("DB", place("prod", "/scope/"), true),
            ("DB", place("dev", "/scope"), false),
            ("DB", place("prod", "/"), false),
            ("DB", place("prod", "/scope/sub"), false),
            ("sub/DB", place("prod", "/scope/sub"), true),
            ("/a/b/DB", place("prod", "/a/b"), true),
            ("/a/b/DB", place("prod", "/scope"), false),
            ("/DB", place("prod", "/"), true),
        ] {
            let found = in_scope(SPEC, key, ("infisical", &[], &place));
            assert_eq!(found, read, "{key} {place:?}");
            assert_eq!(
                reads(SPEC, key, ("infisical", &["DB"], &place)),
                read,
                "{key}"
            );
            assert!(!reads(SPEC, key, ("infisical", &["WEB"], &place)), "{key}");
        }
        let unknown = ("infisical", &[][..], &[("project", "shop")][..]);
        assert!(in_scope(SPEC, "DB", unknown));
        let other = ("infisical", &[][..], &[("project", "blog")][..]);
        assert!(!in_scope(SPEC, "DB", other));
    }

    #[test]
    fn find_lists_subfolders_if_recursive() {
        for (recursive, find_path, path, found) in [
            (false, None, "/scope", true),
            (false, None, "/scope/sub", false),
            (true, None, "/scope/sub", true),
            (true, None, "/scope", true),
            (true, None, "/scoped", false),
            (true, Some("/scope/sub"), "/scope/sub/x", true),
            (true, Some("/scope/sub"), "/scope/other", false),
        ] {
            let scope = json!({ "secretsPath": "/scope", "recursive": recursive });
            let spec = json!({ "infisical": { "secretsScope": scope } }).to_string();
            let place = [("path", path)];
            let event = ("infisical", &[][..], &place[..]);
            let hit = finds_in_scope(&spec, find_path, event);
            assert_eq!(hit, found, "{recursive} {find_path:?} {path}");
            let named = ("infisical", &["DB"][..], &place[..]);
            assert_eq!(
                finds(&spec, find_path, Some("^DB$"), named),
                found,
                "{path}"
            );
            assert!(!finds(&spec, find_path, Some("^WEB$"), named), "{path}");
        }
    }
}
