//! The rules of a provider for its keys, and the query of an event.

use std::{borrow::Cow, collections::BTreeMap};

use eso_relay::event::Version;

use super::regexp::Regexp;

/// How references through a store with certain settings name secrets.
///
/// A lookup has two steps, so that its cost does not depend on the number of references: equal names make a
/// candidate, and [`Rules::reaches`] with [`Rules::reads`] decide on it.
pub(crate) trait Rules {
    /// Whether the reference can read secrets of the event's kind.
    fn is_of_kind(&self, _: &Reading<'_>, _: &Query<'_>) -> bool {
        true
    }

    /// The names of a reference for the lookup, in the form of [`Query::names`]: every event about its secret has one
    /// of them.
    fn names(&self, remote: RemoteRef<'_>, name: &mut dyn FnMut(&str));

    /// Whether the reference reads in the event's place (account, project, mount, …). What one side does not know
    /// excludes nothing.
    fn reaches(&self, _: &Reading<'_>, _: &Query<'_>) -> bool {
        true
    }

    /// Whether a reference in the event's place reads its secret.
    fn reads(&self, remote: RemoteRef<'_>, query: &Query<'_>) -> bool {
        self.any_name(remote, &|name| {
            query.names.iter().any(|other| other == name)
        })
    }

    /// Whether a `find` in the event's place may find its secret.
    fn finds(&self, _: &Pattern<'_>, _: &Query<'_>) -> bool {
        true
    }

    /// Whether the reference may read below the path of a prefix event.
    fn is_below(&self, reading: &Reading<'_>, query: &Query<'_>) -> bool {
        let mut prefixes = query.names.iter();
        prefixes.any(|prefix| match reading {
            Reading::Key(remote) if self.has_folders() => {
                self.any_name(*remote, &|name| is_below(prefix, name))
            }
            Reading::Key(remote) => self.any_name(*remote, &|name| name.starts_with(&**prefix)),
            Reading::Find(pattern) => self.root(pattern).is_none_or(|root| overlaps(root, prefix)),
        })
    }

    /// Whether names have folders; without them a prefix is the beginning of a name.
    fn has_folders(&self) -> bool {
        true
    }

    /// Whether ESO's provider implements `find`. Where it does not, ESO never syncs an object that has one.
    fn can_find(&self) -> bool {
        true
    }

    /// The common prefix of all names that a `find` finds; `None` when unknown.
    fn root<'p>(&self, pattern: &Pattern<'p>) -> Option<&'p str> {
        Some(pattern.path.unwrap_or_default())
    }

    /// Whether a reference to this version keeps its value although the secret changed, in `changed` if the event
    /// names a version. False when in doubt.
    fn is_other_version(&self, _: &str, _: Option<&Version>) -> bool {
        false
    }

    fn any_name(&self, remote: RemoteRef<'_>, fits: &dyn Fn(&str) -> bool) -> bool {
        let mut any = false;
        self.names(remote, &mut |name| any |= fits(name));
        any
    }
}

/// The two ways in which a reference names secrets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reading<'r> {
    Key(RemoteRef<'r>),
    Find(Pattern<'r>),
}

/// `remoteRef` or `extract`. What stands beside the key is there only for a store whose templates may take it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RemoteRef<'r> {
    pub(crate) key: &'r str,
    /// Empty when it asks for none.
    pub(crate) version: &'r str,
    /// Empty when it asks for none; `None` when unknown.
    pub(crate) property: Option<&'r str>,
    /// That of the object.
    pub(crate) namespace: &'r str,
}

impl<'r> RemoteRef<'r> {
    /// For a store that has no templates.
    pub(crate) fn of_key(key: &'r str) -> Self {
        Self {
            key,
            version: "",
            property: None,
            namespace: "",
        }
    }
}

/// `dataFrom[].find`. The tags of an event's secret are unknown, so they always match.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pattern<'r> {
    pub(crate) path: Option<&'r str>,
    pub(crate) regexp: Option<&'r Regexp>,
    /// Whether it selects by tags.
    pub(crate) tags: bool,
}

impl Pattern<'_> {
    /// Whether the regular expression, if any, matches this name.
    pub(super) fn fits(&self, name: &str) -> bool {
        self.regexp.is_none_or(|regexp| regexp.may_match(name))
    }

    /// As [`Pattern::fits`], for a name that may be listed with or without a leading slash.
    pub(super) fn fits_slashed(&self, name: &str) -> bool {
        self.regexp.is_none_or(|regexp| {
            let bare = name.trim_start_matches('/');
            regexp.may_match(bare) || regexp.may_match(&format!("/{bare}"))
        })
    }

    pub(super) fn starts(&self, name: &str) -> bool {
        self.path.is_none_or(|path| name.starts_with(path))
    }
}

/// What an event concerns, in the terms of one provider.
#[derive(Debug)]
pub(crate) struct Query<'e> {
    /// Every canonical name of its keys.
    pub(crate) names: Vec<Cow<'e, str>>,
    /// As in the event: aliases of one secret, the path of a prefix, or none.
    pub(super) keys: &'e [String],
    pub(super) scope: Scope<'e>,
    /// Whether it concerns secrets of Secrets Manager, seen from Parameter Store, which gives access to them.
    pub(super) proxied: bool,
    /// What of a `find` can be compared with these names, in an unknown store.
    pub(super) finding: FindBy,
}

/// What of a `find` ESO's provider evaluates and can be compared with the names in events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum FindBy {
    /// A path, as a plain prefix, and the regular expression.
    #[default]
    PathAndName,
    /// The regular expression, unless it selects by tags.
    NameOrTags,
    /// The regular expression.
    Name,
    /// Nothing: every secret may be found.
    Unknown,
}

/// The scope of an event: attributes of the place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'e>(pub(super) &'e BTreeMap<String, String>);

impl<'e> Scope<'e> {
    /// `None` when the event has no such attribute.
    pub(super) fn get(self, attribute: &str) -> Option<&'e str> {
        let value = self.0.get(attribute)?.as_str();
        (!value.is_empty()).then_some(value)
    }
}

/// Equal, or unknown on one side.
pub(super) fn agree(one: Option<&str>, other: Option<&str>) -> bool {
    one.is_none() || other.is_none() || one == other
}

/// For fixed versions: whether the event changed another version.
pub(super) fn is_other(version: &str, changed: Option<&Version>) -> bool {
    let changed = changed.and_then(|changed| changed.id.as_deref());
    changed.is_none_or(|changed| !changed.eq_ignore_ascii_case(version))
}

/// Whether the version is a number, which is fixed. 0 may be the newest.
pub(super) fn is_number(version: &str) -> bool {
    version.bytes().all(|digit| digit.is_ascii_digit())
        && version.bytes().any(|digit| digit != b'0')
}

/// Whether the name is below the path, or equal.
pub(super) fn is_below(path: &str, name: &str) -> bool {
    let folder = path.trim_matches('/');
    let rest = name.trim_start_matches('/').strip_prefix(folder);
    rest.is_some_and(|rest| folder.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

/// Whether a name may be below both: one contains the other.
pub(super) fn overlaps(path: &str, prefix: &str) -> bool {
    let (path, prefix) = (path.trim_matches('/'), prefix.trim_matches('/'));
    path.starts_with(prefix) || prefix.starts_with(path)
}

/// Like Go's `path.Join`, without slashes at the ends.
pub(super) fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The host of a URL or of a bare host, in lower case and without its port.
pub(super) fn host(url: &str) -> Option<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// A setting of a store; `None` when it is missing or empty, as Go's zero value.
pub(super) fn setting(spec: &serde_json::Value, field: &str) -> Option<String> {
    let text = spec[field].as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cleaned_as_go_does_it() {
        for (path, cleaned) in [
            ("/a//b/", "a/b"),
            ("a/./b/../c", "a/c"),
            ("../a", "a"),
            ("", ""),
        ] {
            assert_eq!(clean(path), cleaned, "{path}");
        }
    }

    #[test]
    fn a_host_is_found_in_every_form_of_an_address() {
        for (url, expected) in [
            (
                "https://Vault.example.com:8200/x",
                Some("vault.example.com"),
            ),
            ("vault.example.com", Some("vault.example.com")),
            ("http://user@v:1?q", Some("v")),
            ("https://[::1]:8200", Some("[::1]")),
            ("", None),
            ("https://", None),
        ] {
            assert_eq!(host(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn what_one_side_does_not_know_does_not_exclude() {
        assert!(agree(Some("a"), Some("a")) && !agree(Some("a"), Some("b")));
        assert!(agree(None, Some("b")) && agree(Some("a"), None) && agree(None, None));
    }
}
