//! A provider without a file of its own: keys are compared as they are written.
//!
//! These are also the rules of the first release's `/webhook`: `/a/b` is `a/b`, `a/b/` is another
//! key, and a key does not stand for what begins with it.

/// Leading slashes say nothing. All else does.
pub(super) fn canonical(key: &str) -> &str {
    key.trim_start_matches('/')
}

/// What a path means differs between providers; the widest reading, a plain prefix, misses nothing.
pub(super) fn is_below(path: &str, key: &str) -> bool {
    canonical(key).starts_with(canonical(path))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(canonical(left) == canonical(right), same, "{left} {right}");
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
            assert_eq!(is_below(path, key), below, "{path} {key}");
        }
    }
}
