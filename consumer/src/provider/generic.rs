//! A provider without a file of its own, or none that we know: keys are compared as they are
//! written.
//!
//! These are also the rules of the first release's `/webhook`: `/a/b` is `a/b`, `a/b/` is another
//! key, and a key does not stand for what begins with it.

use super::rules::{Pattern, Rules, Sought};

pub(super) struct Generic;

/// Leading slashes say nothing. All else does.
pub(super) fn canonical(key: &str) -> &str {
    key.trim_start_matches('/')
}

impl Rules for Generic {
    fn names(&self, key: &str, name: &mut dyn FnMut(&str)) {
        name(canonical(key));
    }

    /// What a path means differs between providers; the widest reading, a plain prefix, misses
    /// nothing.
    fn finds(&self, pattern: &Pattern<'_>, sought: &Sought<'_>) -> bool {
        let path = canonical(pattern.path.unwrap_or_default());
        let mut names = sought.names.iter();
        names.any(|name| name.starts_with(path) && pattern.fits_slashed(name))
    }
}

#[cfg(test)]
mod tests {
    use crate::provider::tests::{finds, reads};

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
    fn a_path_is_a_prefix() {
        for (path, key, below) in [
            ("/team", "team/db", true),
            ("team/d", "/team/db", true),
            ("", "anything", true),
            ("other", "team/db", false),
        ] {
            let event = ("conjur", &[key][..], &[][..]);
            let found = finds(r#"{"conjur": {}}"#, Some(path), None, event);
            assert_eq!(found, below, "{path} {key}");
        }
    }
}
