//! What the servers say of the streams and durables, once all is up again.

use std::collections::HashSet;

use anyhow::{Context as _, ensure};
use async_nats::jetstream::{self, consumer::pull};
use eso_relay::{event::decode_batch, stream::Stream};
use futures::{StreamExt as _, TryStreamExt as _};

use super::stage::CLUSTERS;

/// Messages that are read at the same time.
const AT_ONCE: usize = 16;

/// The sequences that an events stream has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// The extent of the events stream, when every replica of every stream is up to date and each
/// cluster's durable has acked all of it.
///
/// # Errors
/// It is not so yet: what is missing.
pub(crate) async fn settled(context: &jetstream::Context) -> anyhow::Result<Extent> {
    for stream in Stream::ALL {
        let info = context.get_stream(stream.name()).await?;
        let cluster = info.cached_info().cluster.iter();
        for replica in cluster.flat_map(|cluster| &cluster.replicas) {
            ensure!(
                replica.current && replica.lag.is_none_or(|lag| lag == 0),
                "the replica of {} on {} is behind",
                stream.name(),
                replica.name
            );
        }
    }
    let stream = context.get_stream(Stream::Events.name()).await?;
    let state = &stream.cached_info().state;
    let extent = Extent {
        first: state.first_sequence,
        last: state.last_sequence,
    };
    for cluster in CLUSTERS {
        let durable = context
            .get_consumer_from_stream::<pull::Config, _, _>(cluster, Stream::Events.name())
            .await
            .with_context(|| format!("the durable of {cluster}"))?;
        let info = durable.cached_info();
        ensure!(
            info.ack_floor.stream_sequence == extent.last
                && info.num_pending == 0
                && info.num_ack_pending == 0,
            "the durable of {cluster} has acked {} of {}, {} pending, {} delivered and not acked",
            info.ack_floor.stream_sequence,
            extent.last,
            info.num_pending,
            info.num_ack_pending
        );
    }
    Ok(extent)
}

pub(crate) async fn dead_letters(context: &jetstream::Context) -> anyhow::Result<u64> {
    let stream = context.get_stream(Stream::Dead.name()).await?;
    Ok(stream.cached_info().state.messages)
}

/// The ids of the events in these messages.
///
/// # Errors
/// A message cannot be read: it is lost for replays, and for whichever cluster comes late.
pub(crate) async fn ids(
    context: &jetstream::Context,
    from: u64,
    to: u64,
) -> anyhow::Result<HashSet<String>> {
    let stream = context.get_stream(Stream::Events.name()).await?;
    let stream = &stream;
    let read = |sequence| async move {
        let message = stream.get_raw_message(sequence).await;
        let message =
            message.with_context(|| format!("message {sequence} of the events stream"))?;
        let events = decode_batch(&message.payload)?;
        let events = events.into_iter().collect::<Result<Vec<_>, _>>()?;
        anyhow::Ok(events.into_iter().map(|event| event.id))
    };
    let batches: Vec<_> = futures::stream::iter(from..=to)
        .map(read)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(batches.into_iter().flatten().collect())
}
