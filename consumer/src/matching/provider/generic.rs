//! The rules for a provider without a file of its own, and for an unknown one: keys are compared as they are
//! written.
//!
//! These are also the rules of the first release's `/webhook`: `/a/b` equals `a/b`, `a/b/` is another key, and a key
//! is no prefix.

use super::rules::{FindBy, Pattern, Query, RemoteRef, Rules};

/// What ESO's provider evaluates of a `find`; `None` for an unknown store, where the query decides.
pub(super) struct Generic(Option<FindBy>);

/// For unknown stores.
pub(super) const UNKNOWN: Generic = Generic(None);

/// For a provider without a file of its own, by its `plain` name.
pub(super) fn of(provider: &str) -> &'static Generic {
    match finding(provider) {
        FindBy::PathAndName => &Generic(Some(FindBy::PathAndName)),
        FindBy::NameOrTags => &Generic(Some(FindBy::NameOrTags)),
        FindBy::Name => &Generic(Some(FindBy::Name)),
        FindBy::Unknown => &Generic(Some(FindBy::Unknown)),
    }
}

/// What each provider evaluates of a `find` (ESO `providers/v1`, `GetAllSecrets`). For an unknown provider, and for
/// those that evaluate both, a path is a plain prefix, which excludes the least.
pub(super) fn finding(provider: &str) -> FindBy {
    match provider {
        // Everything in the organization.
        "bitwardensecretsmanager"
        // By names or titles, while keys are ids.
        | "barbican" | "passbolt" | "keepersecurity" | "cloudru"
        // By names in a folder, while keys are paths of several forms.
        | "scaleway" | "beyondtrustworkloadcredentials" => FindBy::Unknown,
        "kubernetes" => FindBy::NameOrTags,
        "conjur" | "fake" | "oracle" | "crd" => FindBy::Name,
        _ => FindBy::PathAndName,
    }
}

/// Leading slashes are ignored.
pub(super) fn canonical(key: &str) -> &str {
    key.trim_start_matches('/')
}

impl Rules for Generic {
    fn names(&self, RemoteRef { key, .. }: RemoteRef<'_>, name: &mut dyn FnMut(&str)) {
        name(canonical(key));
    }

    fn finds(&self, pattern: &Pattern<'_>, query: &Query<'_>) -> bool {
        let path = match self.0.unwrap_or(query.finding) {
            FindBy::Unknown => return true,
            FindBy::NameOrTags if pattern.tags => return true,
            FindBy::NameOrTags | FindBy::Name => "",
            FindBy::PathAndName => canonical(pattern.path.unwrap_or_default()),
        };
        let mut names = query.names.iter();
        names.any(|name| name.starts_with(path) && pattern.fits_slashed(name))
    }

    fn root<'p>(&self, pattern: &Pattern<'p>) -> Option<&'p str> {
        match self.0 {
            None | Some(FindBy::PathAndName) => Some(pattern.path.unwrap_or_default()),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::matching::provider::tests::{finds, finds_below, reads};

    #[test]
    fn keys_are_the_same_as_in_the_first_release() {
        let cases = [
            ("/a/b", "a/b", true),
            ("a/b", "/a/b", true),
            ("a/b", "a/b/", false),
            ("a/b", "a/bc", false),
            ("a/b", "A/b", false),
            (
                "/Chris Gruel/events/Test1",
                "Chris Gruel/events/Test1",
                true,
            ),
        ];
        for (left, right, same) in cases {
            let event = ("conjur", &[right][..], &[][..]);
            assert_eq!(
                reads(r#"{"conjur": {}}"#, left, event),
                same,
                "{left} {right}"
            );
        }
    }

    #[test]
    fn a_find_goes_by_what_its_provider_looks_at() {
        let (other, regexp) = (Some("other"), Some("^db$"));
        for (provider, path, regexp, found) in [
            ("bitwardensecretsmanager", other, Some("^web$"), true),
            ("kubernetes", other, regexp, true),
            ("kubernetes", None, Some("^web$"), false),
            ("conjur", other, regexp, true),
            ("conjur", None, Some("^web$"), false),
            ("passbolt", None, Some("^web$"), true),
            ("onboardbase", other, regexp, false),
            ("onboardbase", Some("d"), regexp, true),
        ] {
            let spec = format!(r#"{{"{provider}": {{}}}}"#);
            let event = (provider, &["db"][..], &[][..]);
            let hit = finds(&spec, path, regexp, event);
            assert_eq!(hit, found, "{provider} {path:?} {regexp:?}");
        }
        // A prefix event, which no path of a `find` excludes.
        for (provider, below) in [("conjur", true), ("onboardbase", false)] {
            let spec = format!(r#"{{"{provider}": {{}}}}"#);
            assert_eq!(finds_below(&spec, other, (provider, "team")), below);
        }
    }

    #[test]
    fn a_path_is_a_prefix() {
        for (path, key, below) in [
            ("/team", "team/db", true),
            ("team/d", "/team/db", true),
            ("", "anything", true),
            ("other", "team/db", false),
        ] {
            let event = ("onboardbase", &[key][..], &[][..]);
            let found = finds(r#"{"onboardbase": {}}"#, Some(path), None, event);
            assert_eq!(found, below, "{path} {key}");
        }
    }
}
