//! Since when each cluster has not acked, for a shorter `max_age`.

use async_nats::jetstream::{Context, consumer, stream::LastRawMessageErrorKind};
use futures::TryStreamExt as _;
use jiff::Timestamp;

use super::{Item, ProvisionError, server};
use crate::{nats::timestamp, stream::Stream};

/// A cluster that has not acked everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unacked {
    pub(super) cluster: String,
    /// When the first message that it has not acked was stored.
    pub(super) since: Timestamp,
}

pub(super) async fn unacked(jetstream: &Context) -> Result<Vec<Unacked>, ProvisionError> {
    let item = Item::Stream(Stream::Events);
    let failed = |error| server("look at the durables of", &item, None, error);
    let events = jetstream.get_stream(Stream::Events.name()).await;
    let events = events.map_err(|error| failed(Box::new(error)))?;
    let state = &events.cached_info().state;
    let durables: Vec<consumer::Info> = events
        .consumers()
        .try_collect()
        .await
        .map_err(|error| failed(Box::new(error)))?;
    let mut unacked = Vec::new();
    for durable in durables {
        // What the command line reads with has no name, and waits for nothing.
        let Some(cluster) = durable.config.durable_name else {
            continue;
        };
        if durable.num_pending == 0 && durable.num_ack_pending == 0 {
            continue;
        }
        let next = durable.ack_floor.stream_sequence + 1;
        let since = match events.get_raw_message(next.max(state.first_sequence)).await {
            Ok(message) => message.time,
            // Gone since, or somebody has taken a message out of the middle.
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                state.first_timestamp
            }
            Err(error) => return Err(failed(Box::new(error))),
        };
        unacked.push(Unacked {
            cluster,
            since: timestamp(since),
        });
    }
    Ok(unacked)
}
