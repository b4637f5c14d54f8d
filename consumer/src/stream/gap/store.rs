//! Reads and writes the cluster's position, and asks the server for the state of the durable.

use std::time::Duration;

use anyhow::{Context as _, bail};
use async_nats::jetstream::Context;
use eso_relay::{
    Slug,
    nats::timestamp,
    stream::{
        Position, Stream,
        position::{Seen, is_filtered},
        stored, verify,
    },
};
use jiff::Timestamp;
use tokio::time::sleep;

/// How often a write is retried when another replica has written in between.
const ATTEMPTS: usize = 8;

pub(super) struct PositionStore {
    pub(super) jetstream: Context,
    pub(super) cluster: Slug,
}

/// The last position and its stream sequence, 0 if there is none.
pub(super) struct StoredPosition {
    pub(super) position: Option<Position>,
    sequence: u64,
}

/// The state of the stream and the durable.
pub(super) struct ServerState {
    pub(super) seen: Seen,
    pub(super) ack_wait: Duration,
    /// Whether it would deliver every message: a pull request waits, the durable is not paused and has no filter.
    pub(super) delivers: bool,
}

impl PositionStore {
    /// Applies `change` to the last position, if there is one.
    pub(super) async fn change(&self, change: impl Fn(Position) -> Position) -> anyhow::Result<()> {
        for _ in 0..ATTEMPTS {
            let stored = self.read().await?;
            let Some(position) = stored.position.clone().map(&change) else {
                return Ok(());
            };
            if self.write(&stored, &position).await? {
                return Ok(());
            }
        }
        bail!(busy())
    }

    /// Writes what `decide` returns for the last position and the server's state. Returns both positions.
    pub(super) async fn update(
        &self,
        mut decide: impl FnMut(Option<&Position>, &ServerState) -> Position,
    ) -> anyhow::Result<(Option<Position>, Position)> {
        for _ in 0..ATTEMPTS {
            let stored = self.read().await?;
            let server = self.ask().await?;
            let position = decide(stored.position.as_ref(), &server);
            if self.write(&stored, &position).await? {
                return Ok((stored.position, position));
            }
        }
        bail!(busy())
    }

    async fn ask(&self) -> anyhow::Result<ServerState> {
        let stream = stored::find(&self.jetstream, Stream::Events).await;
        let stream = stream.with_context(|| {
            stored::denied("read the state of stream", Stream::Events, "STREAM.INFO")
        })?;
        let Some(stream) = stream else {
            bail!(verify::Problem::NoStream(Stream::Events));
        };
        let stream = stream.cached_info();
        let durable = verify::durable(&self.jetstream, &self.cluster).await?;
        let durable = durable.cached_info();
        let filtered = is_filtered(&durable.config);
        let seen = Seen::of(stream, durable);
        Ok(ServerState {
            seen,
            ack_wait: durable.config.ack_wait,
            delivers: durable.num_waiting > 0 && !durable.paused && !filtered,
        })
    }

    /// One that cannot be parsed counts as none. Falls back to the subject that older versions used.
    async fn read(&self) -> anyhow::Result<StoredPosition> {
        let subject = Position::subject(&self.cluster);
        if let Some((position, sequence)) = self.last(Stream::Positions, &subject).await? {
            return Ok(StoredPosition { position, sequence });
        }
        let subject = Position::old_subject(&self.cluster);
        let old = self.last(Stream::Receipts, &subject).await?;
        Ok(StoredPosition {
            position: old.and_then(|(position, _)| position),
            sequence: 0,
        })
    }

    async fn last(
        &self,
        stream: Stream,
        subject: &str,
    ) -> anyhow::Result<Option<(Option<Position>, u64)>> {
        let last = stored::last(&self.jetstream, stream, subject).await?;
        Ok(last.map(|message| {
            let position = serde_json::from_slice(&message.payload).ok();
            let written = timestamp(message.time);
            let position = position.map(|position| dated(position, written));
            (position, message.sequence)
        }))
    }

    /// Returns false if another replica has written in between.
    async fn write(&self, after: &StoredPosition, position: &Position) -> anyhow::Result<bool> {
        let subject = Position::subject(&self.cluster);
        let failed = || stored::unwritten(Stream::Positions, &subject);
        let payload = serde_json::to_vec(position)?.into();
        let (stream, sequence) = (Stream::Positions, after.sequence);
        let sent =
            stored::store_after(&self.jetstream, stream, subject.clone(), sequence, payload).await;
        let is_written = sent.with_context(failed)?.is_some();
        if !is_written {
            sleep(Duration::from_millis(fastrand::u64(5..50))).await;
        }
        Ok(is_written)
    }
}

fn busy() -> String {
    let name = Stream::Positions.name();
    format!("cannot write to {name}: another replica wrote at each attempt")
}

/// An older version does not store the time in the position.
fn dated(position: Position, written: Timestamp) -> Position {
    let at = match position.durable {
        Some(_) => position.at,
        None => written,
    };
    Position { at, ..position }
}
