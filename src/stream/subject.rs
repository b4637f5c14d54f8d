//! Subjects: `eso-relay.<stream>.v<major>.<first>.<second>`. Never a key: those are in the body.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;
use ring::digest;

use crate::{Event, Slug};

/// The major version of the wire format that this build writes and reads.
pub(super) const MAJOR: u32 = 1;

/// The last token of a subject whose parts, such as a path, are no tokens themselves: equal for equal parts.
pub(super) fn hash(parts: &[&str]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part.as_bytes());
        // No part holds a NUL, so they cannot run into each other.
        context.update(&[0]);
    }
    HEXLOWER.encode(&context.finish().as_ref()[..16])
}

/// The subject of an event: `eso-relay.events.v1.<provider>.<source>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    pub provider: Slug,
    pub source: Slug,
}

/// The subject is not one of ours, or of another major version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubject {
    #[error("unknown major version {0}")]
    Version(u32),
    #[error("not a subject of the events stream")]
    Shape,
}

impl Subject {
    pub fn of(event: &Event) -> Self {
        Self {
            provider: event.provider.clone(),
            source: event.source.clone(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "eso-relay.events.v{MAJOR}.{}.{}",
            self.provider, self.source
        )
    }
}

impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(subject: &str) -> Result<Self, InvalidSubject> {
        let rest = subject
            .strip_prefix("eso-relay.events.v")
            .ok_or(InvalidSubject::Shape)?;
        let mut tokens = rest.split('.');
        let mut token = || tokens.next().ok_or(InvalidSubject::Shape);
        let major: u32 = token()?.parse().map_err(|_| InvalidSubject::Shape)?;
        if major != MAJOR {
            return Err(InvalidSubject::Version(major));
        }
        let mut slug = || token()?.parse().map_err(|_| InvalidSubject::Shape);
        let (provider, source) = (slug()?, slug()?);
        if tokens.next().is_some() {
            return Err(InvalidSubject::Shape);
        }
        Ok(Self { provider, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_reads_back_as_it_was_written() {
        let subject = Subject {
            provider: "akeyless".parse().unwrap(),
            source: "prod".parse().unwrap(),
        };
        assert_eq!(subject.to_string(), "eso-relay.events.v1.akeyless.prod");
        assert_eq!(subject.to_string().parse(), Ok(subject));
    }

    #[test]
    fn another_major_version_is_named_and_all_else_is_refused() {
        assert_eq!(
            "eso-relay.events.v2.a.b".parse::<Subject>(),
            Err(InvalidSubject::Version(2))
        );
        for bad in [
            "",
            "eso-relay.events.v1.a",
            "eso-relay.events.v1.a.b.c",
            "eso-relay.events.vx.a.b",
            "other.v1.a.b",
        ] {
            assert_eq!(bad.parse::<Subject>(), Err(InvalidSubject::Shape), "{bad}");
        }
    }
}
