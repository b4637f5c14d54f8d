//! A message of the events stream.

use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;

use super::Stream;
use crate::event::BATCH_CONTENT_TYPE;

/// In each message of the events stream: how many events it holds.
pub const EVENTS_HEADER: &str = "Eso-Relay-Events";

/// A batch of `events` events, ready for [`Subject`](super::Subject). The server stores one `id` once
/// within the duplicate window, and nothing in a stream of another name.
pub fn message(id: &str, events: usize, batch: Bytes) -> PublishMessage {
    PublishMessage::build()
        .message_id(id)
        .expected_stream(Stream::Events.name())
        .header("Content-Type", BATCH_CONTENT_TYPE)
        .header(EVENTS_HEADER, events.to_string())
        .payload(batch)
}
