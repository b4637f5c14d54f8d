//! What stands in the events stream, and how far each cluster's durable is.

use std::collections::HashMap;

use anyhow::Context as _;
use async_nats::jetstream::{
    Context,
    consumer::{Info, pull},
};
use eso_relay::{event::decode_batch, stream::Stream};
use jiff::Timestamp;

/// Reads the stream past all durables.
pub(crate) struct Journal {
    pub(crate) jetstream: Context,
    next: u64,
    events: HashMap<String, Published>,
}

/// Where an event stands.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) sequence: u64,
    /// When the server stored it.
    pub(crate) at: Timestamp,
    /// What the annotation of its targets becomes.
    pub(crate) refresh: String,
}

impl Journal {
    pub(crate) fn open(jetstream: Context) -> Self {
        Self {
            jetstream,
            next: 1,
            events: HashMap::new(),
        }
    }

    /// The event that the ingress answered with this id.
    pub(crate) async fn find(&mut self, id: &str) -> anyhow::Result<Published> {
        if !self.events.contains_key(id) {
            self.read_on().await?;
        }
        let found = self.events.get(id).cloned();
        found.with_context(|| {
            format!("expected: event {id} in the stream, because it was answered 202")
        })
    }

    /// The sequence of the newest message.
    pub(crate) async fn last(&self) -> anyhow::Result<u64> {
        let stream = self.jetstream.get_stream(Stream::Events.name()).await?;
        Ok(stream.cached_info().state.last_sequence)
    }

    /// The durable of a cluster, as it is now.
    pub(crate) async fn durable(&self, cluster: &str) -> anyhow::Result<Info> {
        let stream = Stream::Events.name();
        let durable = self
            .jetstream
            .get_consumer_from_stream::<pull::Config, _, _>(cluster, stream)
            .await?;
        Ok(durable.cached_info().clone())
    }

    async fn read_on(&mut self) -> anyhow::Result<()> {
        let stream = self.jetstream.get_stream(Stream::Events.name()).await?;
        let last = stream.cached_info().state.last_sequence;
        while self.next <= last {
            let message = stream.get_raw_message(self.next).await?;
            let at = Timestamp::from_nanosecond(message.time.unix_timestamp_nanos())?;
            // What cannot be read is for the dead letters, not for us.
            let events = decode_batch(&message.payload).unwrap_or_default();
            for event in events.into_iter().flatten() {
                let published = Published {
                    sequence: self.next,
                    at,
                    refresh: event.fingerprint().to_string(),
                };
                self.events.insert(event.id, published);
            }
            self.next += 1;
        }
        Ok(())
    }
}
