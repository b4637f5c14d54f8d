//! `eso-relay init`: declares the streams and durables.
//!
//! Idempotent, and never at the price of a message: nothing is deleted or recreated, and a change
//! that would lose stored messages is refused before anything is changed. What every cluster has acked
//! may go when the operator agrees, and so may a cluster that is [named](Member).

pub(super) mod durable;
pub(super) mod plan;
mod remove;
#[cfg(test)]
mod tests;
mod unacked;

use std::{fmt, time::Duration};

use async_nats::jetstream::{
    Context, ErrorCode,
    consumer::PullConsumer,
    context::GetStreamErrorKind,
    stream::{Config, ConsumerErrorKind, Info, Stream as Found},
};
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use self::plan::Plan;
pub use self::remove::{Left, Member};
use super::{
    Start, Stream,
    rule::{self, Rule},
    stored,
};
use crate::Slug;

/// What the operator names. What stays `None` is kept as it is; a new stream gets the events
/// stream's value, or the default of [`Limits`](super::Limits).
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub replicas: Option<usize>,
    pub max_age: Option<Duration>,
    /// Of the events stream.
    pub max_bytes: Option<i64>,
    /// Whether a shorter `max_age` may remove events that every cluster has acked: they cannot be
    /// replayed then.
    pub forget: bool,
}

/// What became of one stream or durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    #[serde(flatten)]
    pub item: Item,
    #[serde(flatten)]
    pub action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "name", rename_all = "lowercase")]
pub enum Item {
    #[serde(serialize_with = "stream_name")]
    Stream(Stream),
    Durable(Slug),
    Position(Slug),
    #[serde(rename = "watch_list")]
    WatchList(Slug),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", content = "settings", rename_all = "lowercase")]
pub enum Action {
    Created,
    Updated(Vec<Difference>),
    Unchanged,
    Removed,
    /// There was nothing to remove.
    Absent,
}

/// One setting, before and after, as people write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub setting: &'static str,
    pub old: String,
    pub new: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// Stored messages would go. Nothing was changed.
    #[error("refused: {item} would lose messages: {why}")]
    WouldLose { item: Item, why: String },
    /// Every cluster has acked what would go, and [`Wanted::forget`] is not set. Nothing was changed.
    #[error("{why}; every cluster has acked what would go, and it could not be replayed any more")]
    WouldForget { why: String },
    /// Nothing was changed.
    #[error("refused: the consumers of cluster {0} are running: stop them first")]
    InUse(Slug),
    /// The server cannot change it. Nothing was changed.
    #[error("refused: {item} {what}, which the server cannot change: {advice}")]
    CannotChange {
        item: Item,
        what: String,
        advice: String,
    },
    #[error("no stream {}: run `eso-relay init` for the streams first", Stream::Events.name())]
    NoStream,
    #[error("cannot {verb} {item}{}", advice(*.code))]
    Server {
        verb: &'static str,
        item: Item,
        code: Option<ErrorCode>,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Declares the streams. All are looked at before the first is changed.
///
/// `now` tells the age of the oldest message.
pub async fn streams(
    jetstream: &Context,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<Vec<Change>, ProvisionError> {
    let mut found = Vec::new();
    for stream in Stream::ALL {
        found.push((stream, look(jetstream, stream).await?));
    }
    let events = found[0].1.as_ref().map(|info| &info.config);
    let limits = plan::limits(events, wanted);
    let unacked = if events.is_some() && wanted.max_age.is_some() {
        unacked::unacked(jetstream).await?
    } else {
        Vec::new()
    };
    let plans = found
        .iter()
        .map(|(stream, info)| {
            plan::stream(*stream, info.as_ref(), &limits, wanted, &unacked, now)
                .map(|plan| (*stream, plan))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut changes = Vec::new();
    for (stream, plan) in plans {
        changes.push(Change {
            item: Item::Stream(stream),
            action: apply(jetstream, stream, plan).await?,
        });
    }
    Ok(changes)
}

/// Declares the durable of `cluster`; one that is there stays where it is.
pub async fn durable(
    jetstream: &Context,
    cluster: &Slug,
    start: Start,
) -> Result<Change, ProvisionError> {
    let item = Item::Durable(cluster.clone());
    let failed = |verb, code, source| server(verb, &item, code, source);
    let events = Stream::Events.name();
    let found: Result<PullConsumer, _> = jetstream
        .get_consumer_from_stream(cluster.as_str(), events)
        .await;
    let action = match found {
        Ok(found) => match durable::plan(cluster, &found.cached_info().config)? {
            None => Action::Unchanged,
            Some((config, differences)) => {
                let update = jetstream.update_consumer_on_stream(config, events).await;
                update.map_err(|error| failed("update", None, Box::new(error)))?;
                Action::Updated(differences)
            }
        },
        Err(error) => match error.kind() {
            ConsumerErrorKind::JetStream(answer)
                if answer.error_code() == ErrorCode::CONSUMER_NOT_FOUND =>
            {
                let config = super::durable(cluster, start);
                let create = jetstream.create_consumer_strict_on_stream(config, events);
                create
                    .await
                    .map_err(|error| failed("create", None, Box::new(error)))?;
                Action::Created
            }
            ConsumerErrorKind::JetStream(answer)
                if answer.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                return Err(ProvisionError::NoStream);
            }
            ConsumerErrorKind::InvalidConsumerType => {
                return Err(durable::refuse(cluster, rule::durable::PUSH));
            }
            _ => return Err(failed("look at", None, Box::new(error))),
        },
    };
    Ok(Change { item, action })
}

/// Of every setting that a rule is about.
fn differences<C>(rules: &[Rule<C>], old: &C, new: &C) -> Vec<Difference> {
    rules
        .iter()
        .map(|rule| Difference {
            setting: rule.setting,
            old: (rule.text)(old),
            new: (rule.text)(new),
        })
        .filter(|difference| difference.old != difference.new)
        .collect()
}

async fn look(jetstream: &Context, stream: Stream) -> Result<Option<Info>, ProvisionError> {
    let found = find(jetstream, stream).await?;
    Ok(found.map(|found| found.cached_info().clone()))
}

/// `None`: it does not exist.
async fn find(jetstream: &Context, stream: Stream) -> Result<Option<Found>, ProvisionError> {
    stored::find(jetstream, stream).await.map_err(|error| {
        let code = match error.kind() {
            GetStreamErrorKind::JetStream(answer) => Some(answer.error_code()),
            _ => None,
        };
        server("look at", &Item::Stream(stream), code, Box::new(error))
    })
}

async fn apply(jetstream: &Context, stream: Stream, plan: Plan) -> Result<Action, ProvisionError> {
    use async_nats::jetstream::context::CreateStreamErrorKind::JetStream;
    let failed = |verb, error: async_nats::jetstream::context::CreateStreamError| {
        let code = match error.kind() {
            JetStream(answer) => Some(answer.error_code()),
            _ => None,
        };
        server(verb, &Item::Stream(stream), code, Box::new(error))
    };
    let create = |config: Config| jetstream.create_stream(config);
    match plan {
        Plan::Create(config) => {
            create(*config)
                .await
                .map_err(|error| failed("create", error))?;
            Ok(Action::Created)
        }
        Plan::Update(config, differences) => {
            let update = jetstream.update_stream(*config).await;
            update.map_err(|error| failed("update", error))?;
            Ok(Action::Updated(differences))
        }
        Plan::Keep => Ok(Action::Unchanged),
    }
}

fn server(
    verb: &'static str,
    item: &Item,
    code: Option<ErrorCode>,
    source: Box<dyn std::error::Error + Send + Sync>,
) -> ProvisionError {
    ProvisionError::Server {
        verb,
        item: item.clone(),
        code,
        source,
    }
}

fn advice(code: Option<ErrorCode>) -> &'static str {
    match code {
        Some(ErrorCode::STREAM_SUBJECT_OVERLAP) => {
            " (another stream takes these subjects: `nats stream find --subject 'eso-relay.>'` names it)"
        }
        Some(ErrorCode::INSUFFICIENT_RESOURCES | ErrorCode::STORAGE_RESOURCES_EXCEEDED) => {
            " (not enough storage for it: lower --max-bytes, or raise the server's max_file_store)"
        }
        Some(ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT) => {
            " (enable JetStream on the server, `nats-server -js`, and for this account)"
        }
        _ => "",
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(stream) => write!(f, "stream {}", stream.name()),
            Self::Durable(cluster) => write!(f, "durable {cluster}"),
            Self::Position(cluster) => write!(f, "position {cluster}"),
            Self::WatchList(cluster) => write!(f, "watch list of {cluster}"),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's `serialize_with` passes a reference"
)]
fn stream_name<S: Serializer>(stream: &Stream, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(stream.name())
}
