//! Verified bytes → events: what each sender's format says, under what the configuration allows.
//!
//! ```text
//! Verified ──format──▶ Decoded (what the sender says) ──Source::decode──▶ Vec<Event>
//! ```

mod akeyless;
mod cloudevents;
mod config;
mod generic;
mod json;
mod pointer;
mod seed;

use std::collections::BTreeMap;

use eso_relay::{
    Event, Slug,
    event::{GENERIC, Kind, Match, Operation, Origin, Target, Version},
    trace::TraceParent,
};
use http::HeaderMap;
use jiff::Timestamp;

pub use self::{
    config::{FormatName, MappingConfig, OneOrMany, SourceConfig, StoreConfig, TargetConfig},
    pointer::Pointer,
};
use crate::verify::{Scheme, Verified};

/// The most elements of one body; an Akeyless runner that forwards once a day stays below.
const MAX_ELEMENTS: usize = 10_000;
/// Leaves room for `/<index>` below the 512 bytes that an event id may have.
const MAX_ID_BYTES: usize = 480;
const MAX_TYPE_BYTES: usize = 256;

/// A configured sender: who it is, how it proves that, what it says and what it may reach.
pub struct Source {
    pub name: Slug,
    pub scheme: Scheme,
    format: Format,
    /// `None` takes the provider that an event of our own names.
    provider: Option<Slug>,
    target: Option<Target>,
}

/// What the body looks like. One file per format.
enum Format {
    Akeyless,
    Generic(generic::Mapping),
    CloudEvents(cloudevents::Mapping),
    Seed,
}

/// What is known of a request besides its body.
pub struct Delivery<'a> {
    pub headers: &'a HeaderMap,
    pub received_at: Timestamp,
    pub traceparent: TraceParent,
}

/// What a format read out of a body.
struct Decoded {
    /// Of how many elements the body consists, the irrelevant ones included.
    elements: usize,
    changes: Vec<Change>,
}

/// One change, as the sender tells it.
struct Change {
    /// Its place in the body.
    index: usize,
    /// The sender's id, if it is the same again when the sender tries again.
    id: Option<String>,
    origin: Origin,
    kind: Kind,
    operation: Operation,
    matches: Match,
    provider: Option<Slug>,
    time: Option<Timestamp>,
    version: Option<Version>,
    scope: BTreeMap<String, String>,
}

/// Why a body gives no events. Names fields and places, never what stands there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the body is not JSON (line {line}, column {column})")]
    NotJson { line: usize, column: usize },
    #[error("{0}")]
    Malformed(String),
    #[error("the body has {0} elements, the most is {MAX_ELEMENTS}: send fewer at once")]
    TooMany(usize),
    /// Well-formed, and nothing in it that changes a secret.
    #[error("nothing in the body changes a secret")]
    Irrelevant,
}

impl Source {
    /// The seed's `/webhook`: its payload, matched by key whatever provider a store has.
    pub fn seed(scheme: Scheme) -> Self {
        Self {
            name: slug("webhook"),
            scheme,
            format: Format::Seed,
            provider: None,
            target: None,
        }
    }

    /// All events of the body, or none: one malformed element refuses the whole.
    pub fn decode(
        &self,
        body: &Verified,
        delivery: &Delivery<'_>,
    ) -> Result<Vec<Event>, DecodeError> {
        let body = body.bytes();
        let decoded = match &self.format {
            Format::Akeyless => akeyless::decode(body)?,
            Format::Generic(mapping) => mapping.decode(body)?,
            Format::CloudEvents(mapping) => mapping.decode(delivery.headers, body)?,
            Format::Seed => seed::decode(body)?,
        };
        let nothing_is_fine = matches!(self.format, Format::Seed);
        if decoded.changes.is_empty() && !nothing_is_fine {
            return Err(DecodeError::Irrelevant);
        }
        let fresh = fresh_id(delivery.received_at);
        let several = decoded.elements > 1;
        let events = decoded.changes.into_iter();
        Ok(events
            .map(|change| self.event(change, several, &fresh, delivery))
            .collect())
    }

    fn event(&self, change: Change, several: bool, fresh: &str, delivery: &Delivery<'_>) -> Event {
        let id = change.id.as_deref().unwrap_or(fresh);
        Event {
            id: if several {
                format!("{id}/{}", change.index)
            } else {
                id.to_owned()
            },
            source: self.name.clone(),
            kind: change.kind,
            time: change.time,
            traceparent: Some(delivery.traceparent),
            provider: self
                .provider
                .clone()
                .or(change.provider)
                .unwrap_or_else(|| slug(GENERIC)),
            operation: change.operation,
            matches: change.matches,
            version: change.version,
            scope: change.scope,
            target: self.target.clone(),
            received_at: delivery.received_at,
            origin: change.origin,
        }
    }
}

/// Where the sender gives no id each delivery is new: two equal bodies are two changes, so a hash of
/// the body would swallow the second one.
fn fresh_id(received_at: Timestamp) -> String {
    format!(
        "{:x}-{:032x}",
        received_at.as_millisecond(),
        fastrand::u128(..)
    )
}

/// A name that is written in this crate.
fn slug(name: &'static str) -> Slug {
    // OK because each of the few names is a slug, as a test of every format shows.
    name.parse().expect("a slug")
}

fn malformed(what: impl Into<String>) -> DecodeError {
    DecodeError::Malformed(what.into())
}

/// `at`: the field, for the message.
fn checked_id(id: String, at: &str) -> Result<String, DecodeError> {
    if id.is_empty() || id.len() > MAX_ID_BYTES || id.chars().any(char::is_control) {
        return Err(malformed(format!(
            "{at} is not an id of 1 to {MAX_ID_BYTES} bytes without control characters"
        )));
    }
    Ok(id)
}

/// `at`: the field, for the message.
fn checked_type(kind: String, at: &str) -> Result<String, DecodeError> {
    if kind.len() > MAX_TYPE_BYTES || kind.chars().any(char::is_control) {
        return Err(malformed(format!(
            "{at} is not a type of at most {MAX_TYPE_BYTES} bytes without control characters"
        )));
    }
    Ok(kind)
}

#[cfg(test)]
mod tests;
