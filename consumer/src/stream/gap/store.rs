//! Reads and writes the cluster's position, and asks the server for the state of the durable.

use std::time::Duration;

use anyhow::{Context as _, bail};
use async_nats::{
    StatusCode,
    jetstream::{
        Context, ErrorCode,
        context::{GetStreamError, GetStreamErrorKind, PublishErrorKind},
        message::PublishMessage,
        stream::DirectGetErrorKind,
    },
};
use eso_relay::{
    Slug,
    nats::timestamp,
    stream::{
        Position, Stream,
        position::{Seen, is_filtered},
        verify,
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
        let name = Stream::Events.name();
        let stream = match self.jetstream.get_stream(name).await {
            Ok(stream) => stream,
            Err(error) if is_missing(&error) => bail!(verify::Problem::NoStream(Stream::Events)),
            Err(error) => Err(error).with_context(|| {
                format!("cannot read the state of stream {name} (may this user publish to `$JS.API.STREAM.INFO.{name}`?)")
            })?,
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
        let name = stream.name();
        let stored = self.jetstream.get_stream_no_info(name).await?;
        match stored.direct_get_last_for_subject(subject).await {
            Ok(message) => {
                let position = serde_json::from_slice(&message.payload).ok();
                let written = timestamp(message.time);
                let position = position.map(|position| dated(position, written));
                Ok(Some((position, message.sequence)))
            }
            Err(error) => match error.kind() {
                DirectGetErrorKind::NotFound => Ok(None),
                DirectGetErrorKind::ErrorResponse(StatusCode::NO_RESPONDERS, _) => {
                    Err(verify::Problem::NoStream(stream).into())
                }
                _ => Err(error).with_context(|| {
                    format!("cannot read {name} (may this user publish to `$JS.API.DIRECT.GET.{name}.{subject}`?)")
                }),
            },
        }
    }

    /// Returns false if another replica has written in between.
    async fn write(&self, after: &StoredPosition, position: &Position) -> anyhow::Result<bool> {
        let name = Stream::Positions.name();
        let subject = Position::subject(&self.cluster);
        let message = PublishMessage::build()
            .expected_stream(name)
            .expected_last_subject_sequence(after.sequence)
            .payload(serde_json::to_vec(position)?.into());
        let failed = || format!("cannot write to {name} (may this user publish to `{subject}`?)");
        let sent = self.jetstream.send_publish(subject.clone(), message).await;
        match sent.with_context(failed)?.await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => {
                sleep(Duration::from_millis(fastrand::u64(5..50))).await;
                Ok(false)
            }
            Err(error) => Err(error).with_context(failed),
        }
    }
}

fn is_missing(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(answer)
        if answer.error_code() == ErrorCode::STREAM_NOT_FOUND)
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
