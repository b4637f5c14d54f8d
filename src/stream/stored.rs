//! Looks up a stream, and reads and writes the newest message of a subject, in streams that keep the last of each.

use anyhow::Context as _;
use async_nats::{
    StatusCode,
    jetstream::{
        Context, ErrorCode,
        context::{GetStreamError, GetStreamErrorKind, PublishError, PublishErrorKind},
        message::{PublishMessage, StreamMessage},
        stream::{DirectGetErrorKind, Info, Stream as Found},
    },
};
use bytes::Bytes;

use super::{Stream, verify::Problem};

/// The stream as it is now. `None`: it does not exist.
pub async fn find(
    jetstream: &Context,
    stream: Stream,
) -> Result<Option<Found<Info>>, GetStreamError> {
    match jetstream.get_stream(stream.name()).await {
        Ok(found) => Ok(Some(found)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(answer)
                if answer.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            _ => Err(error),
        },
    }
}

/// The newest message of a subject. `None`: there is none.
///
/// # Errors
/// The stream does not exist ([`Problem::NoStream`]), or NATS does not answer: the error names the permission.
pub async fn last(
    jetstream: &Context,
    stream: Stream,
    subject: &str,
) -> anyhow::Result<Option<StreamMessage>> {
    let name = stream.name();
    let found = jetstream.get_stream_no_info(name).await?;
    let error = match found.direct_get_last_for_subject(subject).await {
        Ok(message) => return Ok(Some(message)),
        Err(error) => error,
    };
    match error.kind() {
        DirectGetErrorKind::NotFound => Ok(None),
        DirectGetErrorKind::ErrorResponse(StatusCode::NO_RESPONDERS, _) => {
            Err(Problem::NoStream(stream).into())
        }
        _ => Err(error).with_context(|| {
            format!("cannot read {name} (may this user publish to `$JS.API.DIRECT.GET.{name}.{subject}`?)")
        }),
    }
}

/// Stores a message after that of this sequence (0: as the first of its subject), and returns its own. `None`: another
/// client has written in between.
pub async fn store_after(
    jetstream: &Context,
    stream: Stream,
    subject: String,
    sequence: u64,
    payload: Bytes,
) -> Result<Option<u64>, PublishError> {
    let message = PublishMessage::build()
        .expected_stream(stream.name())
        .expected_last_subject_sequence(sequence)
        .payload(payload);
    match jetstream.send_publish(subject, message).await?.await {
        Ok(ack) => Ok(Some(ack.sequence)),
        Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(None),
        Err(error) => Err(error),
    }
}

/// Why a request to the API of a stream may not be answered.
pub fn denied(verb: &str, stream: Stream, api: &str) -> String {
    let name = stream.name();
    format!("cannot {verb} {name} (may this user publish to `$JS.API.{api}.{name}`?)")
}

/// Why a message may not be stored. `subject` may be a pattern.
pub fn unwritten(stream: Stream, subject: &str) -> String {
    let name = stream.name();
    format!("cannot write to {name} (may this user publish to `{subject}`?)")
}
