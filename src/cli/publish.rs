//! One event, straight into the stream.

use std::{error::Error as _, fmt};

use anyhow::Context as _;
use async_nats::jetstream::{
    Context, ErrorCode,
    context::{PublishError, PublishErrorKind},
};
use eso_relay::{
    Event,
    event::{Fingerprint, encode_batch},
    stream::{self, Stream, Subject},
};
use serde::Serialize;

const ATTEMPTS: usize = 3;

/// What was published, for people and for scripts.
#[derive(Serialize)]
pub(super) struct Published {
    id: String,
    sequence: u64,
    /// The value of the annotation on what was refreshed.
    annotation: Fingerprint,
    trace_id: Option<String>,
}

impl Published {
    pub(super) fn new(event: Event, sequence: u64) -> Self {
        Self {
            annotation: event.fingerprint(),
            id: event.id,
            sequence,
            trace_id: event.traceparent.map(|trace| trace.trace_id()),
        }
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "event       {}", self.id)?;
        writeln!(f, "sequence    {}", self.sequence)?;
        writeln!(f, "annotation  eso-relay.dev/refresh={}", self.annotation)
    }
}

/// Publishes it, waits for the PubAck and returns its sequence in the stream.
///
/// The message's id is the event's, so that a repetition after a lost answer stands there once.
pub(super) async fn publish(jetstream: &Context, event: &Event) -> anyhow::Result<u64> {
    let mut attempt = 1;
    loop {
        match try_publish(jetstream, event).await {
            Ok(sequence) => return Ok(sequence),
            Err(error) if attempt < ATTEMPTS && error.kind() == PublishErrorKind::TimedOut => {
                attempt += 1;
            }
            Err(error) => {
                let advice = advice(&error);
                return Err(error).with_context(|| {
                    format!("cannot publish to {}{advice}", Stream::Events.name())
                });
            }
        }
    }
}

async fn try_publish(jetstream: &Context, event: &Event) -> Result<u64, PublishError> {
    let message = stream::message(&event.id, 1, encode_batch([event]));
    let ack = jetstream
        .send_publish(Subject::of(event).to_string(), message)
        .await?;
    Ok(ack.await?.sequence)
}

fn advice(error: &PublishError) -> &'static str {
    let server = error
        .source()
        .and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>());
    match (
        error.kind(),
        server.map(async_nats::jetstream::Error::error_code),
    ) {
        (PublishErrorKind::StreamNotFound, _) => ": run `eso-relay init`",
        (_, Some(ErrorCode::STREAM_STORE_FAILED)) => {
            ": it takes nothing now: is the server's disk full? Does it refuse when it is full (`eso-relay status`)?"
        }
        (PublishErrorKind::TimedOut, _) => {
            ": no answer (is this user allowed to publish to `eso-relay.events.>`?)"
        }
        _ => "",
    }
}
