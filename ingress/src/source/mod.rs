//! Verified bytes → events: decodes each sender's format, within what the configuration allows.
//!
//! ```text
//! Verified ──format──▶ Decoded (what the sender says) ──Source::decode──▶ Vec<Event>
//! ```

mod akeyless;
mod akeyless_trigger;
mod aws_eventbridge;
mod aws_sns;
mod azure_event_grid;
mod cloudevents;
mod config;
mod confirmation;
mod doppler;
mod element;
mod gcp_pubsub;
mod generic;
mod github;
mod gitlab;
mod ibm_secrets_manager;
mod infisical;
mod json;
mod mapping;
mod meaning;
mod origins;
mod pointer;
mod pulumi_esc;
mod scope;
mod standard_webhooks;
mod vault;
mod vault_audit;
mod vault_events;

use std::{
    cell::LazyCell,
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use eso_relay::{
    Event, Slug,
    event::{GENERIC, KUBERNETES, Kind, Reach, Settle},
    traceparent::TraceParent,
    tracestate::TraceState,
};
use http::HeaderMap;
use jiff::Timestamp;

use self::element::{Body, Change, Decoded, Element, checked_type, usable_id};
pub use self::{
    config::{FormatName, SourceConfig, StoreConfig, TargetConfig},
    confirmation::ConfirmHost,
    element::{Handshake, Irrelevant},
    mapping::{MappingConfig, MatchConfig, MatchKind, TemplateConfig},
    origins::Origins,
    pointer::Pointer,
    scope::Projects,
};
use crate::{
    clouds::microsoft,
    limit::SourceLimits,
    metrics::SourceMetrics,
    verify::{Scheme, Verified},
};

/// The most elements of one body; an Akeyless runner that forwards once a day stays below.
pub(crate) const MAX_ELEMENTS: usize = 10_000;

/// A configured sender: its name, its authentication and format, and what its events may reach.
pub struct Source {
    pub name: Slug,
    pub scheme: Scheme,
    /// Answers 2xx even when nothing could be stored, for a sender that would stop working otherwise.
    pub fail_open: bool,
    /// From the end of the headers to the answer. `None`: only that of publishing applies.
    pub deadline: Option<Duration>,
    pub(crate) limits: SourceLimits,
    pub(crate) metrics: SourceMetrics,
    format: Format,
    /// `None`: the provider that the event itself names.
    provider: Option<Slug>,
    target: Option<Reach>,
    /// The place of the secrets, by the configuration. It takes precedence over the payload.
    scope: BTreeMap<String, String>,
    /// The delay from the first refresh to a second one.
    pub settle: Option<Settle>,
    /// Changes that are older are ignored.
    max_age: Option<Duration>,
}

/// The format of the body: a file for each.
enum Format {
    Akeyless,
    AkeylessTrigger,
    AwsEventBridge,
    AwsSns(aws_sns::Topics),
    AzureEventGrid,
    CloudEvents(cloudevents::Mapping),
    Doppler(doppler::Payload),
    GcpPubsub(Projects),
    Generic(generic::Mapping, confirmation::Hosts),
    Github(generic::Mapping),
    Gitlab(generic::Mapping),
    IbmSecretsManager,
    Infisical(Projects),
    PulumiEsc,
    StandardWebhooks(generic::Mapping),
    VaultAudit,
    VaultEvents,
}

/// The parts of a request besides its body.
pub struct Delivery<'a> {
    pub headers: &'a HeaderMap,
    pub received_at: Timestamp,
    pub traceparent: TraceParent,
    /// Of the sender's trace; `None` where `traceparent` is of another one.
    pub tracestate: Option<TraceState>,
}

/// A decoded body.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    Events {
        events: Vec<Event>,
        /// Why other elements are ignored, with their index in the body.
        ignored: Vec<(usize, Irrelevant)>,
        /// What is wrong with elements that cannot be read, with their index in the body. Names fields, never
        /// values.
        malformed: Vec<(usize, String)>,
    },
    Handshake(Handshake),
}

/// Why a body gives no events. Names fields and places, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the body is not JSON (line {line}, column {column})")]
    NotJson { line: usize, column: usize },
    #[error("{0}")]
    Malformed(String),
    #[error("the body has {0} elements, the most is {MAX_ELEMENTS}: send fewer at once")]
    TooMany(usize),
}

impl Source {
    /// The source of `POST /webhook`: the payload of akeyless-eso-webhook-trigger; its keys match any provider.
    pub fn akeyless_trigger(scheme: Scheme) -> Self {
        Self {
            name: slug("webhook"),
            scheme,
            fail_open: false,
            deadline: None,
            limits: SourceLimits::default(),
            metrics: SourceMetrics::default(),
            format: Format::AkeylessTrigger,
            provider: None,
            target: None,
            scope: BTreeMap::new(),
            settle: None,
            max_age: None,
        }
    }

    /// The origins that may ask by OPTIONS whether they may send; `None`: the format has no such handshake.
    pub fn origins(&self) -> Option<Origins> {
        match &self.format {
            Format::AzureEventGrid => Some(Origins::Only(&microsoft::EVENT_GRIDS)),
            Format::CloudEvents(_) => Some(Origins::Any),
            _ => None,
        }
    }

    /// The events of the body. Malformed elements are an error only if no element is an event.
    pub fn decode(&self, body: &Verified, delivery: &Delivery<'_>) -> Result<Content, DecodeError> {
        let bytes = body.bytes();
        // RFC 8259 §8.1 lets a reader pass over a byte order mark, and some senders write one.
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let decoded = match self.format.decode(delivery.headers, bytes)? {
            Body::Handshake(handshake) => return Ok(Content::Handshake(handshake)),
            Body::Decoded(decoded) => decoded,
        };
        // Of all elements without one of the sender's: the index tells them apart.
        let fresh = LazyCell::new(|| fresh_id(delivery.received_at));
        let several = decoded.elements > 1;
        let shared = share_ids(&decoded.changes);
        let (mut events, mut ignored) =
            (Vec::with_capacity(decoded.changes.len()), decoded.ignored);
        for (index, mut change) in decoded.changes {
            if self.is_too_old(&change, delivery.received_at) {
                ignored.push((index, Irrelevant::TooOld));
            } else {
                let id = match change.id.take() {
                    Some(id) if shared => format!("{id}/{index}"),
                    Some(id) => id,
                    None if several => format!("{}/{index}", *fresh),
                    None => fresh.clone(),
                };
                events.push(self.event(id, change, delivery));
            }
        }
        let malformed = decoded.malformed;
        if let (true, Some((_, first))) = (events.is_empty(), malformed.first()) {
            return Err(DecodeError::Malformed(first.clone()));
        }
        // akeyless-eso-webhook-trigger accepts an empty array.
        let nothing_is_fine = matches!(self.format, Format::AkeylessTrigger);
        if events.is_empty() && ignored.is_empty() && !nothing_is_fine {
            ignored.push((0, Irrelevant::Empty));
        }
        Ok(Content::Events {
            events,
            ignored,
            malformed,
        })
    }

    fn is_too_old(&self, change: &Change, now: Timestamp) -> bool {
        let age = change.time.map(|time| now.duration_since(time));
        let (Some(age), Some(max_age)) = (age, self.max_age) else {
            return false;
        };
        Duration::try_from(age).is_ok_and(|age| age > max_age)
    }

    fn event(&self, id: String, change: Change, delivery: &Delivery<'_>) -> Event {
        let named = self.provider.clone().or(change.provider);
        let provider = match change.kind {
            Kind::TemplateChanged => slug(KUBERNETES),
            _ => named.unwrap_or_else(|| slug(GENERIC)),
        };
        let mut scope = change.scope;
        scope.extend(self.scope.clone());
        // One without a value would exclude every store that has any.
        scope.retain(|_, value| !value.is_empty());
        Event {
            id,
            source: self.name.clone(),
            kind: change.kind,
            time: change.time,
            traceparent: Some(delivery.traceparent),
            tracestate: delivery.tracestate.clone(),
            provider,
            operation: change.operation,
            matches: change.matches,
            version: change.version,
            scope,
            target: self.target.clone(),
            settle: self.settle,
            restart: false,
            received_at: delivery.received_at,
            origin: change.origin,
        }
    }
}

impl Format {
    fn decode(&self, headers: &HeaderMap, body: &[u8]) -> Result<Body, DecodeError> {
        Ok(Body::Decoded(match self {
            Self::AwsSns(topics) => return topics.decode(body),
            Self::AzureEventGrid => return azure_event_grid::decode(headers, body),
            Self::Akeyless => akeyless::decode(body)?,
            Self::AkeylessTrigger => akeyless_trigger::decode(body)?,
            Self::AwsEventBridge => aws_eventbridge::decode(body)?,
            Self::CloudEvents(mapping) => mapping.decode(headers, body)?,
            Self::Doppler(payload) => payload.decode(body)?,
            Self::GcpPubsub(projects) => gcp_pubsub::decode(projects, headers, body)?,
            Self::Generic(mapping, hosts) => {
                if let Some(handshake) = hosts.handshake(headers, body)? {
                    return Ok(Body::Handshake(handshake));
                }
                mapping.decode(&generic::Envelope::default(), body)?
            }
            Self::Github(mapping) => {
                mapping.decode(&github::envelope(headers)?, &github::json(headers, body)?)?
            }
            Self::Gitlab(mapping) => mapping.decode(&gitlab::envelope(headers)?, body)?,
            Self::IbmSecretsManager => ibm_secrets_manager::decode(body)?,
            Self::Infisical(projects) => infisical::decode(projects, body)?,
            Self::PulumiEsc => pulumi_esc::decode(headers, body)?,
            Self::StandardWebhooks(mapping) => {
                mapping.decode(&standard_webhooks::envelope(headers, body)?, body)?
            }
            Self::VaultAudit => vault_audit::decode(body)?,
            Self::VaultEvents => vault_events::decode(body)?,
        }))
    }
}

/// Without an id of the sender each delivery is new: two equal bodies are two changes, and a hash of the body
/// would drop the second one.
fn fresh_id(received_at: Timestamp) -> String {
    format!(
        "{:x}-{:032x}",
        received_at.as_millisecond(),
        fastrand::u128(..)
    )
}

/// Whether two changes have the same id of the sender. Only then, or without an id, the index becomes part of
/// the id: a sender may group its events differently when it retries.
fn share_ids(changes: &[(usize, Change)]) -> bool {
    if changes.len() < 2 {
        return false;
    }
    let mut seen = HashSet::with_capacity(changes.len());
    let mut ids = changes
        .iter()
        .filter_map(|(_, change)| change.id.as_deref());
    !ids.all(|id| seen.insert(id))
}

/// A constant name.
fn slug(name: &'static str) -> Slug {
    // OK because each of the few names is a slug, as a test of every format shows.
    name.parse().expect("a slug")
}

impl DecodeError {
    /// The same error with its place in the body.
    fn within(self, place: &str) -> Self {
        match self {
            Self::Malformed(what) => Self::Malformed(format!("{place}: {what}")),
            other => other,
        }
    }
}

fn malformed(what: impl Into<String>) -> DecodeError {
    DecodeError::Malformed(what.into())
}

#[cfg(test)]
mod tests;
