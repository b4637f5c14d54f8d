//! `eso-relay init --remove-cluster`: a cluster's durable, its position and its watch list.

use async_nats::jetstream::{
    Context, ErrorCode,
    consumer::{self, PullConsumer},
    stream::ConsumerErrorKind,
};
use futures::TryStreamExt as _;
use serde::Serialize;

use super::{Action, Change, Item, ProvisionError, find, server};
use crate::{
    Slug,
    stream::{Position, Stream, Watched},
};

/// A cluster as the streams know it.
#[derive(Debug)]
pub struct Member {
    pub cluster: Slug,
    /// `None`: there is no such cluster (any more).
    durable: Option<consumer::Info>,
}

/// Messages of a removed cluster that stay: they tell what happened, and expire with the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    pub cluster: Slug,
    pub dead_letters: u64,
    pub receipts: u64,
}

impl Member {
    /// Changes nothing. A cluster whose consumers are running is an error.
    pub async fn find(jetstream: &Context, cluster: &Slug) -> Result<Self, ProvisionError> {
        let found: Result<PullConsumer, _> = jetstream
            .get_consumer_from_stream(cluster.as_str(), Stream::Events.name())
            .await;
        let durable = match found {
            Ok(found) => Some(found.cached_info().clone()),
            Err(error) => match error.kind() {
                ConsumerErrorKind::JetStream(answer) if is_absent(answer.error_code()) => None,
                _ => return Err(failed("look at", cluster, error)),
            },
        };
        if durable.as_ref().is_some_and(|it| it.num_waiting > 0) {
            return Err(ProvisionError::InUse(cluster.clone()));
        }
        Ok(Self {
            cluster: cluster.clone(),
            durable,
        })
    }

    pub fn exists(&self) -> bool {
        self.durable.is_some()
    }

    /// Messages that the cluster has not acked, and will not refresh anything for.
    pub fn unacked(&self) -> u64 {
        let unacked = |it: &consumer::Info| it.num_pending + it.num_ack_pending as u64;
        self.durable.as_ref().map_or(0, unacked)
    }

    /// Removes the durable, the position, and the watch list if there is one. What else is not there is
    /// [`Action::Absent`].
    pub async fn remove(self, jetstream: &Context) -> Result<(Vec<Change>, Left), ProvisionError> {
        let Self { cluster, durable } = self;
        let durable = match durable {
            Some(_) => remove_durable(jetstream, &cluster).await?,
            None => Action::Absent,
        };
        let mut purged = purge(jetstream, Stream::Positions, &Position::subject(&cluster)).await?;
        // A cluster of this name that comes later would take it over.
        let old = Position::old_subject(&cluster);
        purged += purge(jetstream, Stream::Receipts, &old).await?;
        let position = if purged > 0 {
            Action::Removed
        } else {
            Action::Absent
        };
        // Pollers would watch its paths for ever.
        let watched = Watched::subjects_of(&cluster);
        let watched = purge(jetstream, Stream::Polls, &watched).await?;
        let mut changes = vec![
            Change {
                item: Item::Durable(cluster.clone()),
                action: durable,
            },
            Change {
                item: Item::Position(cluster.clone()),
                action: position,
            },
        ];
        if watched > 0 {
            changes.push(Change {
                item: Item::WatchList(cluster.clone()),
                action: Action::Removed,
            });
        }
        let left = Left {
            dead_letters: count(jetstream, Stream::Dead, "dead", &cluster).await?,
            receipts: count(jetstream, Stream::Receipts, "receipts", &cluster).await?,
            cluster,
        };
        Ok((changes, left))
    }
}

async fn remove_durable(jetstream: &Context, cluster: &Slug) -> Result<Action, ProvisionError> {
    let events = Stream::Events.name();
    match jetstream
        .delete_consumer_from_stream(cluster.as_str(), events)
        .await
    {
        Ok(_) => Ok(Action::Removed),
        Err(error) => match error.kind() {
            ConsumerErrorKind::JetStream(answer) if is_absent(answer.error_code()) => {
                Ok(Action::Absent)
            }
            _ => Err(failed("remove", cluster, error)),
        },
    }
}

/// How many messages were removed.
async fn purge(jetstream: &Context, stream: Stream, subject: &str) -> Result<u64, ProvisionError> {
    let Some(found) = find(jetstream, stream).await? else {
        return Ok(0);
    };
    let purge = found.purge().filter(subject).await;
    let purge =
        purge.map_err(|error| server("purge", &Item::Stream(stream), None, Box::new(error)))?;
    Ok(purge.purged)
}

/// How many messages of the cluster a stream holds, whatever their major version.
async fn count(
    jetstream: &Context,
    stream: Stream,
    kind: &str,
    cluster: &Slug,
) -> Result<u64, ProvisionError> {
    let Some(found) = find(jetstream, stream).await? else {
        return Ok(0);
    };
    let failed = |error| server("count in", &Item::Stream(stream), None, error);
    let filter = format!("eso-relay.{kind}.*.{cluster}.>");
    let subjects = found.info_with_subjects(filter).await;
    let mut subjects = subjects.map_err(|error| failed(Box::new(error)))?;
    let mut all = 0;
    while let Some((_, count)) = subjects
        .try_next()
        .await
        .map_err(|error| failed(Box::new(error)))?
    {
        all += count as u64;
    }
    Ok(all)
}

fn is_absent(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CONSUMER_NOT_FOUND | ErrorCode::STREAM_NOT_FOUND
    )
}

fn failed(
    verb: &'static str,
    cluster: &Slug,
    error: impl std::error::Error + Send + Sync + 'static,
) -> ProvisionError {
    let item = Item::Durable(cluster.clone());
    server(verb, &item, None, Box::new(error))
}
