//! CloudEvents 1.0 JSON: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>.
//!
//! Strict about meaning (version, kind, match, keys), lenient about fields it does not know, so
//! that an older consumer reads what a newer ingress of the same major version wrote.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Event, InvalidKeys, Keys, Kind, Match, Operation, Origin, Reach, Settle, Version, keys,
};
use crate::{Slug, slug::InvalidSlug, traceparent::TraceParent, tracestate::TraceState};

/// The content type of every message in the events stream (CloudEvents JSON batch format).
pub const BATCH_CONTENT_TYPE: &str = "application/cloudevents-batch+json";

const SOURCE_PREFIX: &str = "/sources/";
const MAX_ID_BYTES: usize = 512;
/// Room for most events as JSON.
const USUAL_BYTES: usize = 768;
/// The most attributes of a scope.
pub const MAX_SCOPE: usize = 16;

/// The message is not a batch at all; none of its events can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    // serde_json's message can quote the payload, so only the place is kept.
    #[error("not a JSON array of events (line {line}, column {column})")]
    NotABatch { line: usize, column: usize },
    #[error("an empty batch")]
    Empty,
}

/// One element of a batch is not an event that this version understands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error("not an event: {0}")]
    Shape(&'static str),
    #[error("specversion is not 1.x")]
    Specversion,
    #[error("unknown type")]
    Kind,
    #[error("id is empty or longer than {MAX_ID_BYTES} bytes")]
    Id,
    #[error("source is not `/sources/<name>`")]
    Source,
    #[error(transparent)]
    Slug(#[from] InvalidSlug),
    #[error("data.keys: {0}")]
    Keys(#[from] InvalidKeys),
    #[error("data.match is `prefix`, which takes one key")]
    Prefix,
    #[error(
        "data.match is `scope`, and data.scope is empty or has more than {MAX_SCOPE} attributes"
    )]
    Scope,
    #[error(
        "type is `template.changed`, which takes data.match `exact` and keys such as ConfigMap/<name> and Secret/<name>"
    )]
    Template,
}

#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    specversion: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    source: String,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    subject: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<TraceParent>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "well_formed"
    )]
    tracestate: Option<TraceState>,
    datacontenttype: Cow<'a, str>,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    provider: Cow<'a, Slug>,
    #[serde(default)]
    operation: Operation,
    #[serde(rename = "match")]
    matches: MatchKind,
    #[serde(default)]
    keys: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<Cow<'a, Version>>,
    #[serde(default, skip_serializing_if = "is_empty")]
    scope: Cow<'a, BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Cow<'a, Reach>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settle: Option<Settle>,
    #[serde(default, skip_serializing_if = "is_false")]
    restart: bool,
    received_at: Timestamp,
    #[serde(default)]
    origin: Cow<'a, Origin>,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum MatchKind {
    Exact,
    Prefix,
    Scope,
    All,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Anything else is passed over: it is no reason to refuse the event.
fn well_formed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TraceState>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_str().and_then(|text| text.parse().ok()))
}

fn is_empty(scope: &BTreeMap<String, String>) -> bool {
    scope.is_empty()
}

/// One event as JSON, ready for [`join_batch`].
pub fn encode(event: &Event) -> Bytes {
    let keys = event.matches.keys();
    let envelope = Envelope {
        specversion: "1.0".into(),
        id: event.id.as_str().into(),
        source: [SOURCE_PREFIX, event.source.as_str()].concat(),
        kind: event.kind,
        subject: keys.first().map(|key| key.as_str().into()),
        time: event.time,
        traceparent: event.traceparent,
        tracestate: event.tracestate.clone(),
        datacontenttype: "application/json".into(),
        data: Data {
            provider: Cow::Borrowed(&event.provider),
            operation: event.operation,
            matches: match event.matches {
                Match::Exact(_) => MatchKind::Exact,
                Match::Prefix(_) => MatchKind::Prefix,
                Match::Scope => MatchKind::Scope,
                Match::All => MatchKind::All,
            },
            keys: keys.into(),
            version: event.version.as_ref().map(Cow::Borrowed),
            scope: Cow::Borrowed(&event.scope),
            target: event.target.as_ref().map(Cow::Borrowed),
            settle: event.settle,
            restart: event.restart,
            received_at: event.received_at,
            origin: Cow::Borrowed(&event.origin),
        },
    };
    let mut json = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut json, &envelope)
        // OK because every map key above is a string and no field has a failing serializer.
        .expect("an event is always JSON");
    json.into()
}

/// A batch of events that [`encode`] made.
pub fn join_batch<'a>(events: impl IntoIterator<Item = &'a Bytes, IntoIter: Clone>) -> Bytes {
    let events = events.into_iter();
    // Each with the bracket or comma before it.
    let bytes: usize = events.clone().map(|event| event.len() + 1).sum();
    let mut batch = Vec::with_capacity(bytes + 2);
    for event in events {
        batch.push(if batch.is_empty() { b'[' } else { b',' });
        batch.extend_from_slice(event);
    }
    if batch.is_empty() {
        batch.push(b'[');
    }
    batch.push(b']');
    batch.into()
}

/// The message body of events.
pub fn encode_batch<'a>(events: impl IntoIterator<Item = &'a Event>) -> Bytes {
    join_batch(&events.into_iter().map(encode).collect::<Vec<_>>())
}

/// The events of a message body, each with its own result: one bad element does not affect the others.
pub fn decode_batch(body: &[u8]) -> Result<Vec<Result<Event, EventError>>, BatchError> {
    let elements: Vec<&serde_json::value::RawValue> =
        serde_json::from_slice(body).map_err(|error| BatchError::NotABatch {
            line: error.line(),
            column: error.column(),
        })?;
    if elements.is_empty() {
        return Err(BatchError::Empty);
    }
    Ok(elements
        .into_iter()
        .map(|element| decode(element.get()))
        .collect())
}

fn decode(json: &str) -> Result<Event, EventError> {
    check_version(json)?;
    let envelope: Envelope<'_> = serde_json::from_str(json).map_err(|error| shape(&error))?;
    let Data {
        provider,
        operation,
        matches,
        keys,
        version,
        scope,
        target,
        settle,
        restart,
        received_at,
        origin,
    } = envelope.data;
    if envelope.id.is_empty() || envelope.id.len() > MAX_ID_BYTES {
        return Err(EventError::Id);
    }
    let source = envelope
        .source
        .strip_prefix(SOURCE_PREFIX)
        .ok_or(EventError::Source)?
        .parse()?;
    let matches = match matches {
        MatchKind::Exact => Match::Exact(Keys::new(keys.into_owned())?),
        MatchKind::Prefix => match keys.as_ref() {
            [path] => {
                keys::check(path).map_err(|problem| problem(0))?;
                Match::Prefix(path.clone())
            }
            _ => return Err(EventError::Prefix),
        },
        MatchKind::Scope if scope.is_empty() => return Err(EventError::Scope),
        MatchKind::Scope => Match::Scope,
        MatchKind::All => Match::All,
    };
    if scope.len() > MAX_SCOPE {
        return Err(EventError::Scope);
    }
    if envelope.kind == Kind::TemplateChanged && !matches.names_template_sources() {
        return Err(EventError::Template);
    }
    Ok(Event {
        id: envelope.id.into_owned(),
        source,
        kind: envelope.kind,
        time: envelope.time,
        traceparent: envelope.traceparent,
        tracestate: envelope
            .tracestate
            .filter(|_| envelope.traceparent.is_some()),
        provider: provider.into_owned(),
        operation,
        matches,
        version: version.map(Cow::into_owned),
        scope: scope.into_owned(),
        target: target.map(Cow::into_owned),
        settle,
        restart,
        received_at,
        origin: origin.into_owned(),
    })
}

/// Before the rest is read: what another major version looks like is unknown.
fn check_version(json: &str) -> Result<(), EventError> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        specversion: Cow<'a, str>,
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    let head: Head<'_> = serde_json::from_str(json).map_err(|error| shape(&error))?;
    if head.specversion != "1" && !head.specversion.starts_with("1.") {
        return Err(EventError::Specversion);
    }
    let known = serde_json::from_value::<Kind>(serde_json::Value::from(head.kind.as_ref()));
    known.map(drop).map_err(|_| EventError::Kind)
}

/// `serde_json`'s own text can quote the payload.
fn shape(error: &serde_json::Error) -> EventError {
    EventError::Shape(if error.is_data() {
        "a field is missing or has the wrong type"
    } else {
        "not JSON"
    })
}
