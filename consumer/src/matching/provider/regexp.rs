//! Evaluates Go's regular expressions (RE2, as ESO does in `runtime/find/find.go`) with Rust's. Where the two could
//! differ, the expression matches: an unneeded refresh costs little.

use regex::bytes::{Regex, RegexBuilder};

/// The size of a compiled expression, to bound the memory that a user's expression takes.
const SIZE_LIMIT: usize = 256 * 1024;

/// A user's expression; `None` when it cannot be evaluated here.
#[derive(Debug)]
pub(crate) struct Regexp(Option<Regex>);

impl Regexp {
    /// The error is the reason why the expression matches everything.
    pub(crate) fn new(source: &str) -> (Self, Option<String>) {
        if reads_differently(source) {
            let why = "Rust evaluates it differently from Go";
            return (Self(None), Some(why.to_owned()));
        }
        // Go's \d, \w, \s and \b are ASCII, which only `bytes` expressions support.
        let built = RegexBuilder::new(source)
            .unicode(false)
            .size_limit(SIZE_LIMIT)
            .dfa_size_limit(SIZE_LIMIT)
            .build();
        match built {
            Ok(regex) => (Self(Some(regex)), None),
            Err(error) => (Self(None), Some(error.to_string())),
        }
    }

    /// Unanchored, as Go's `MatchString`.
    pub(crate) fn may_match(&self, name: &str) -> bool {
        match &self.0 {
            // In bytes, `.` matches one byte of a non-ASCII letter; in Go the whole letter.
            Some(regex) => !name.is_ascii() || regex.is_match(name.as_bytes()),
            None => true,
        }
    }

    /// Whether it may match a name and not the same in lower case.
    pub(super) fn is_case_sensitive(&self) -> bool {
        let minds = |source: &str| {
            source.contains("[^") || source.bytes().any(|letter| letter.is_ascii_uppercase())
        };
        self.0.as_ref().is_none_or(|regex| minds(regex.as_str()))
    }
}

/// Syntax that both languages accept with different meanings: sets in a class (`[a&&b]`, `[a--b]`,
/// `[a~~b]`, `[[a]]`) and word boundaries (`\<`, `\>`, `\b{start}`).
fn reads_differently(source: &str) -> bool {
    let bytes = source.as_bytes();
    let mut class_start = None;
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        match (class_start, rest) {
            (_, [b'\\', b'<' | b'>', ..] | [b'\\', b'b', b'{', ..])
            | (Some(_), [b'&', b'&', ..] | [b'-', b'-', ..] | [b'~', b'~', ..]) => return true,
            (_, [b'\\', _, ..]) => at += 1,
            (None, [b'[', ..]) => {
                at += usize::from(rest.starts_with(b"[^"));
                class_start = Some(at + 1);
            }
            (Some(_), [b'[', next, ..]) if *next != b':' => return true,
            // A bracket at the start of a class is one of its letters, and the bracket of `[:alpha:]` ends that
            // name and not the class.
            (Some(start), [b']', ..]) if at != start && bytes[at - 1] != b':' => {
                class_start = None;
            }
            _ => {}
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_matches_as_it_does_in_go() {
        let cases = [
            ("db", "/prod/db-1", true),
            ("^db", "/prod/db-1", false),
            ("^/prod/.*-1$", "/prod/db-1", true),
            (r"\d{2}", "a12", true),
            (r"^\w+$", "a-b", false),
            ("(?i)DB", "db", true),
            ("", "anything", true),
            ("[[:alpha:]-]+$", "12", false),
            ("[]a]", "]", true),
            ("[^]]", "]", false),
        ];
        for (source, name, matches) in cases {
            let (regexp, problem) = Regexp::new(source);
            assert_eq!(problem, None, "{source}");
            assert_eq!(regexp.may_match(name), matches, "{source} {name}");
        }
    }

    #[test]
    fn what_only_go_understands_matches_everything() {
        for source in [
            "[",
            "(",
            "*",
            r"\Qa.b\E",
            "[[a]",
            "a{,3}",
            "[a&&b]",
            "[a--c]",
            "[a~~c]",
            "[[a]]x",
            r"\<a",
            r"a\>",
            r"\b{start}a",
            "(a{1000}){1000}",
            "é[à]",
        ] {
            let (regexp, problem) = Regexp::new(source);
            assert!(problem.is_some(), "{source} was taken");
            assert!(regexp.may_match("zzz"), "{source}");
        }
    }

    #[test]
    fn a_name_beyond_ascii_may_match() {
        // In bytes, the letter is two and the expression would say no.
        assert!(Regexp::new("^.$").0.may_match("é"));
    }

    proptest::proptest! {
        #[test]
        fn no_expression_panics(source in r"[\[\]\\a^:&~<>b{}()*+?|.-]{0,12}", name in "[ab]{0,4}") {
            Regexp::new(&source).0.may_match(&name);
        }
    }
}
