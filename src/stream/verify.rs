//! What a daemon checks at its start. It never mends; it names the command that does.

use async_nats::jetstream::{
    Context,
    consumer::{AckPolicy, PullConsumer},
    stream::{DiscardPolicy, RetentionPolicy},
};

use super::{Stream, spec::ACK_WAIT};
use crate::Slug;

/// What is wrong with a stream or a durable, and what mends it.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("stream {} does not exist: run `eso-relay init`", .0.name())]
    NoStream(Stream),
    #[error("stream {}: {what}: run `eso-relay init`", .stream.name())]
    Stream { stream: Stream, what: &'static str },
    #[error("no durable for cluster `{0}`: run `eso-relay init --cluster {0}`")]
    NoDurable(Slug),
    #[error("durable `{cluster}`: {what}: run `eso-relay init --cluster {cluster}`")]
    Durable { cluster: Slug, what: &'static str },
    /// Not known: the server did not answer, or does not let this client look.
    #[error("cannot look at {what}")]
    Unknown {
        what: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The events stream as the ingress needs it.
pub async fn events(jetstream: &Context) -> Result<(), Problem> {
    let stream = Stream::Events;
    let wrong = |what| Err(Problem::Stream { stream, what });
    let found = jetstream.get_stream(stream.name()).await.map_err(|error| {
        use async_nats::jetstream::{ErrorCode, context::GetStreamErrorKind};
        match error.kind() {
            GetStreamErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Problem::NoStream(stream)
            }
            _ => unknown(stream.name(), error),
        }
    })?;
    let config = &found.cached_info().config;
    if config.discard != DiscardPolicy::New {
        return wrong("discards old events when full");
    }
    if config.retention != RetentionPolicy::Limits {
        return wrong("drops events once they are consumed");
    }
    if !config
        .subjects
        .iter()
        .any(|subject| subject == stream.subjects())
    {
        return wrong("does not take our subjects");
    }
    Ok(())
}

/// The durable of `cluster`. Needs only the permission to ask for this consumer's info.
pub async fn durable(jetstream: &Context, cluster: &Slug) -> Result<PullConsumer, Problem> {
    let wrong = |what| {
        Err(Problem::Durable {
            cluster: cluster.clone(),
            what,
        })
    };
    let found: PullConsumer = jetstream
        .get_consumer_from_stream(cluster.as_str(), Stream::Events.name())
        .await
        .map_err(|error| {
            use async_nats::jetstream::{ErrorCode, stream::ConsumerErrorKind};
            match error.kind() {
                ConsumerErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::CONSUMER_NOT_FOUND =>
                {
                    Problem::NoDurable(cluster.clone())
                }
                ConsumerErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    Problem::NoStream(Stream::Events)
                }
                _ => unknown(&format!("durable {cluster}"), error),
            }
        })?;
    let config = &found.cached_info().config;
    if config.ack_policy != AckPolicy::Explicit {
        return wrong("does not ask for acks");
    }
    if config.max_deliver > 0 {
        return wrong("drops an event after a number of deliveries");
    }
    if config.ack_wait < ACK_WAIT {
        return wrong("waits too short for acks");
    }
    Ok(found)
}

fn unknown(what: &str, source: impl std::error::Error + Send + Sync + 'static) -> Problem {
    Problem::Unknown {
        what: what.to_owned(),
        source: Box::new(source),
    }
}
