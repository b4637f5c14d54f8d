//! What the annotations of a namespace permit its objects to read (KES `lib/poller.js`, `_isPermitted`).
//!
//! This is the one place where in doubt nothing matches: an expression that Rust may read in another way than
//! JavaScript permits nothing.

use std::fmt;

use regex::{Regex, RegexBuilder};
use serde::Serialize;

use super::provider::Regexp;

/// The size of a compiled expression.
const SIZE_LIMIT: usize = 256 * 1024;

/// The rule of `tenancy:`.
#[derive(Debug, Clone)]
pub struct Tenancy {
    /// Whether ExternalSecrets of ESO are held to it too.
    pub of_eso: bool,
    /// The annotation for keys and paths.
    pub names: String,
    /// The annotation for roles.
    pub roles: String,
    /// Whether a missing annotation permits nothing.
    pub enforce: bool,
}

/// What an object asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims {
    /// Its keys and paths; a path that is not set is empty.
    pub names: Vec<Box<str>>,
    /// The role that it names itself.
    pub role: Option<Box<str>>,
    /// [`Tenancy::enforce`].
    pub enforced: bool,
}

/// The two annotations of a namespace, as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permitted {
    pub names: Option<String>,
    pub roles: Option<String>,
}

/// [`Permitted`], compiled.
#[derive(Debug, Default)]
pub(crate) struct Permits {
    names: Permit,
    roles: Permit,
}

#[derive(Debug, Default)]
enum Permit {
    /// The annotation is missing or empty.
    #[default]
    Missing,
    Fits(Regex),
    /// It cannot be read as JavaScript would.
    Unreadable,
}

/// Why a namespace does not permit an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotPermitted {
    Name(String),
    Role(String),
    /// It is enforced, and the annotation for keys is missing.
    NamesMissing,
    RolesMissing,
    /// The namespace has not been seen.
    Unknown,
}

impl Permits {
    /// Also what is wrong with each expression that permits nothing.
    pub(crate) fn new(permitted: &Permitted) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let mut permit = |source: &Option<String>| {
            let (permit, problem) = Permit::new(source.as_deref().unwrap_or_default());
            problems.extend(problem);
            permit
        };
        let permits = Self {
            names: permit(&permitted.names),
            roles: permit(&permitted.roles),
        };
        (permits, problems)
    }

    /// Why an object with these claims is not permitted; `roles`: its own and those of its stores.
    pub(crate) fn refuses<'r>(
        &self,
        claims: &Claims,
        roles: impl Iterator<Item = &'r str>,
    ) -> Option<NotPermitted> {
        if claims.enforced && matches!(self.names, Permit::Missing) {
            return Some(NotPermitted::NamesMissing);
        }
        let name = claims.names.iter().find(|name| !self.names.permits(name));
        if let Some(name) = name {
            return Some(NotPermitted::Name(name.to_string()));
        }
        for role in roles.filter(|role| !role.is_empty()) {
            if claims.enforced && matches!(self.roles, Permit::Missing) {
                return Some(NotPermitted::RolesMissing);
            }
            if !self.roles.permits(role) {
                return Some(NotPermitted::Role(role.to_owned()));
            }
        }
        None
    }
}

impl Permit {
    fn new(source: &str) -> (Self, Option<String>) {
        if source.is_empty() {
            return (Self::Missing, None);
        }
        let differs = is_read_differently(source)
            .then(|| "JavaScript reads it differently".to_owned())
            .or_else(|| Regexp::new(source).1);
        let built = || {
            let built = RegexBuilder::new(source)
                .size_limit(SIZE_LIMIT)
                .dfa_size_limit(SIZE_LIMIT)
                .build();
            built.map_err(|error| error.to_string())
        };
        match differs.map_or_else(built, Err) {
            Ok(regex) => (Self::Fits(regex), None),
            Err(problem) => (Self::Unreadable, Some(problem)),
        }
    }

    /// Unanchored, as JavaScript's `test`.
    fn permits(&self, text: &str) -> bool {
        match self {
            Self::Missing => true,
            Self::Fits(regex) => regex.is_match(text),
            Self::Unreadable => false,
        }
    }
}

/// Whether it has syntax that only Rust knows, or that means something else there: flags, names of classes, and escapes
/// that JavaScript takes for the letter.
fn is_read_differently(source: &str) -> bool {
    let has = |texts: &[&str]| texts.iter().any(|text| source.contains(text));
    let escapes = ["\\A", "\\z", "\\a", "\\p", "\\P", "\\U", "\\x{", "\\u{"];
    let mut groups = source.match_indices("(?").map(|(at, _)| &source[at + 2..]);
    has(&escapes) || has(&["[:", "[["]) || groups.any(|rest| !rest.starts_with([':', '<']))
}

impl fmt::Display for NotPermitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "its namespace does not permit `{name}`"),
            Self::Role(role) => write!(f, "its namespace does not permit the role `{role}`"),
            Self::NamesMissing => f.write_str("its namespace has no annotation for keys"),
            Self::RolesMissing => f.write_str("its namespace has no annotation for roles"),
            Self::Unknown => f.write_str("the annotations of its namespace are unknown"),
        }
    }
}

#[cfg(test)]
mod tests;
