//! What stands in a stream, read from its first message to its last.

use std::collections::HashMap;

use async_nats::jetstream::{Context, message::StreamMessage, stream::LastRawMessageErrorKind};
use eso_relay::{event::decode_batch, stream::Stream};

/// Every message of the stream.
pub(crate) async fn messages(jetstream: &Context, stream: Stream) -> Vec<StreamMessage> {
    let stream = jetstream.get_stream(stream.name()).await.unwrap();
    let state = stream.get_info().await.unwrap().state;
    let mut messages = Vec::new();
    // An empty stream says 0, which is no sequence.
    for sequence in state.first_sequence.max(1)..=state.last_sequence {
        match stream.get_raw_message(sequence).await {
            Ok(message) => messages.push(message),
            // A newer one of its subject took its place since the stream was asked.
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {}
            Err(error) => panic!("{error}"),
        }
    }
    messages
}

/// The ids of all events, and how often each stands there.
pub(crate) async fn ids(jetstream: &Context) -> HashMap<String, usize> {
    let mut ids = HashMap::new();
    for message in messages(jetstream, Stream::Events).await {
        for event in decode_batch(&message.payload).unwrap() {
            *ids.entry(event.unwrap().id).or_default() += 1;
        }
    }
    ids
}

/// The sequence of the last message ever stored.
pub(crate) async fn last_sequence(jetstream: &Context) -> u64 {
    let events = jetstream.get_stream(Stream::Events.name()).await.unwrap();
    events.get_info().await.unwrap().state.last_sequence
}
