//! The result of decoding a body: for each element a change, or why it is ignored.

use std::{collections::BTreeMap, fmt::Display};

use eso_relay::{
    Slug,
    event::{Keys, Kind, Match, Operation, Origin, Version},
};
use jiff::Timestamp;

use super::{DecodeError, MAX_ELEMENTS, json::Scalar, malformed};
use crate::outgoing::Https;

/// Leaves room for `/<index>` below the 512 bytes that an event id may have.
const MAX_ID_BYTES: usize = 480;
const MAX_TYPE_BYTES: usize = 256;
/// The most attributes of the scope in a payload, and in a source's configuration: an event may have both.
pub(super) const MAX_ATTRIBUTES: usize = 8;
/// Of the value of a scope's attribute, and of each part of a version.
pub(super) const MAX_ATTRIBUTE_BYTES: usize = 256;

/// A decoded body.
pub(super) enum Body {
    Decoded(Decoded),
    Handshake(Handshake),
}

/// A request with which a sender checks the endpoint before it sends events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handshake {
    /// Azure Event Grid: the answer repeats the code.
    Validation { code: String },
    /// Amazon SNS and its like: fetching the URL confirms the subscription.
    Confirmation { url: Https },
    /// The same at a host that the source's `confirm` does not name; `None` where it is no URL.
    Unwanted { host: Option<String> },
    /// Amazon SNS and its like: the subscription was removed.
    Unsubscribed,
}

/// The elements of a body.
#[derive(Default)]
pub(super) struct Decoded {
    /// The number of elements, ignored ones included.
    pub elements: usize,
    /// Each with its place in the body.
    pub changes: Vec<(usize, Change)>,
    /// Each with its place in the body.
    pub ignored: Vec<(usize, Irrelevant)>,
    /// Each that cannot be read, with its place in the body and what is wrong with it.
    pub malformed: Vec<(usize, String)>,
}

/// A decoded element.
#[expect(
    clippy::large_enum_variant,
    reason = "moved once, into a list of changes"
)]
pub(super) enum Element {
    Change(Change),
    Ignored(Irrelevant),
}

/// Why an element is no change of a secret: a label of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Irrelevant {
    /// The body has no element at all.
    Empty,
    /// Events of that type change no value, or the configuration does not list it.
    Type,
    /// The operation failed.
    Failed,
    /// A read or a list.
    Read,
    /// A version that ESO does not read by default, such as AWS's pending one.
    Version,
    /// A test event.
    Test,
    /// Older than the source's `max_age`.
    TooOld,
    /// It cannot be read, and others of the same body can.
    Malformed,
    /// The whole body is malformed, and its source fails open.
    Undecodable,
}

/// One change, as the sender reports it.
pub(super) struct Change {
    /// The sender's id, if it stays the same when the sender retries.
    pub id: Option<String>,
    pub origin: Origin,
    pub kind: Kind,
    pub operation: Operation,
    pub matches: Match,
    /// Set by formats whose events are of several providers.
    pub provider: Option<Slug>,
    pub time: Option<Timestamp>,
    pub version: Option<Version>,
    pub scope: BTreeMap<String, String>,
}

impl Decoded {
    /// Reads each element; a malformed one does not affect the others.
    pub(super) fn each<T>(
        elements: impl IntoIterator<Item = T>,
        read: impl Fn(usize, T) -> Result<Element, DecodeError>,
    ) -> Result<Self, DecodeError> {
        let mut decoded = Self::default();
        for (index, element) in elements.into_iter().enumerate() {
            decoded.push(read(index, element))?;
        }
        Ok(decoded)
    }

    /// Adds an element or its error. Fails only if there are too many elements.
    pub(super) fn push(
        &mut self,
        element: Result<Element, DecodeError>,
    ) -> Result<(), DecodeError> {
        let element = match element {
            Ok(element) => Ok(element),
            Err(DecodeError::Malformed(what)) => Err(what),
            Err(other) => return Err(other),
        };
        let index = self.elements;
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(DecodeError::TooMany(self.elements));
        }
        match element {
            Ok(Element::Change(change)) => self.changes.push((index, change)),
            Ok(Element::Ignored(reason)) => self.ignored.push((index, reason)),
            Err(what) => self.malformed.push((index, what)),
        }
        Ok(())
    }

    /// A body of a single element.
    pub(super) fn one(element: Element) -> Self {
        let (mut changes, mut ignored) = (Vec::new(), Vec::new());
        match element {
            Element::Change(change) => changes.push((0, change)),
            Element::Ignored(reason) => ignored.push((0, reason)),
        }
        Self {
            elements: 1,
            changes,
            ignored,
            malformed: Vec::new(),
        }
    }
}

impl From<Change> for Element {
    fn from(change: Change) -> Self {
        Self::Change(change)
    }
}

impl Irrelevant {
    /// In the order of their declaration.
    pub(crate) const ALL: [Self; 9] = [
        Self::Empty,
        Self::Type,
        Self::Failed,
        Self::Read,
        Self::Version,
        Self::Test,
        Self::TooOld,
        Self::Malformed,
        Self::Undecodable,
    ];

    /// Stable; the `reason` in the metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Type => "type",
            Self::Failed => "failed",
            Self::Read => "read",
            Self::Version => "version",
            Self::Test => "test",
            Self::TooOld => "too_old",
            Self::Malformed => "malformed",
            Self::Undecodable => "undecodable",
        }
    }
}

impl Change {
    /// One secret changed; the rest is unknown until it is set.
    pub(super) fn of(keys: Keys) -> Self {
        Self::new(Kind::SecretChanged, Match::Exact(keys))
    }

    /// Something in this place changed.
    pub(super) fn in_scope(scope: BTreeMap<String, String>) -> Self {
        Self {
            scope,
            ..Self::new(Kind::ScopeChanged, Match::Scope)
        }
    }

    pub(super) fn new(kind: Kind, matches: Match) -> Self {
        Self {
            id: None,
            origin: Origin::default(),
            kind,
            operation: Operation::Unknown,
            matches,
            provider: None,
            time: None,
            version: None,
            scope: BTreeMap::new(),
        }
    }

    /// With the sender's id, which stays the same when it retries.
    pub(super) fn identified(mut self, id: Option<String>) -> Self {
        self.origin.event_id.clone_from(&id);
        self.id = id;
        self
    }
}

/// The sender's id. An unusable one counts as missing: the delivery is then new.
pub(super) fn usable_id(id: Scalar) -> Option<String> {
    match id {
        Scalar::Text(id) => checked_id(id, "id").ok(),
        Scalar::Missing | Scalar::Other => None,
    }
}

/// `at`: the field, for the message.
pub(super) fn checked_id(id: String, at: &str) -> Result<String, DecodeError> {
    if id.is_empty() || id.len() > MAX_ID_BYTES || id.chars().any(char::is_control) {
        return Err(malformed(format!(
            "{at} is not an id of 1 to {MAX_ID_BYTES} bytes without control characters"
        )));
    }
    Ok(id)
}

/// `at`: the field, for the message.
pub(super) fn checked_type(kind: String, at: impl Display) -> Result<String, DecodeError> {
    if kind.len() > MAX_TYPE_BYTES || kind.chars().any(char::is_control) {
        return Err(malformed(format!(
            "{at} is not a type of at most {MAX_TYPE_BYTES} bytes without control characters"
        )));
    }
    Ok(kind)
}
