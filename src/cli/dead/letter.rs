//! A dead letter as it stands in `ESO_RELAY_DEAD`.

use async_nats::{
    HeaderMap,
    jetstream::{Message, message::Info},
};
use eso_relay::{
    Event,
    event::{decode_batch, join_batch},
};
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::output::timestamp;

#[derive(Clone, Serialize)]
pub(super) struct Letter {
    /// In the stream of dead letters.
    pub(super) sequence: u64,
    pub(super) time: Timestamp,
    pub(super) cluster: String,
    pub(super) source: String,
    pub(super) reason: String,
    pub(super) error: String,
    pub(super) attempts: String,
    /// Where the message stands in the events stream, and under which subject.
    pub(super) event_sequence: String,
    pub(super) event_subject: String,
    pub(super) keys: Vec<String>,
    /// The newer event that has refreshed the same since.
    pub(super) superseded_by: Option<String>,
    /// The event, or all of a message that the consumer could not read. None: this version cannot read it either.
    #[serde(skip)]
    pub(super) events: Option<Vec<Event>>,
}

impl Letter {
    /// As a scan hands it over.
    pub(super) fn of(message: &Message, info: &Info<'_>) -> Self {
        let none = HeaderMap::new();
        Self::new(
            info.stream_sequence,
            timestamp(info.published),
            &message.subject,
            message.headers.as_ref().unwrap_or(&none),
            &message.payload,
        )
    }

    pub(super) fn new(
        sequence: u64,
        time: Timestamp,
        subject: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Self {
        let header = |name: &str| {
            let value = headers.get(name);
            value.map(ToString::to_string).unwrap_or_default()
        };
        let events = read(body);
        let named = events.iter().flatten().flat_map(|it| it.matches.keys());
        Self {
            sequence,
            time,
            cluster: header("Eso-Relay-Cluster"),
            source: subject.rsplit('.').next().unwrap_or_default().to_owned(),
            reason: header("Eso-Relay-Reason"),
            error: header("Eso-Relay-Error"),
            attempts: header("Eso-Relay-Attempts"),
            event_sequence: header("Eso-Relay-Sequence"),
            event_subject: header("Eso-Relay-Subject"),
            keys: named.cloned().collect(),
            superseded_by: None,
            events,
        }
    }

    /// How often its event has been redriven before.
    pub(super) fn redriven(&self) -> u32 {
        let events = self.events.iter().flatten();
        events.map(|it| it.origin.redriven).max().unwrap_or(0)
    }
}

/// One event, or a batch.
fn read(body: &[u8]) -> Option<Vec<Event>> {
    let decode = |batch: &[u8]| {
        let events = decode_batch(batch).ok()?;
        events.into_iter().collect::<Result<Vec<_>, _>>().ok()
    };
    decode(body).or_else(|| decode(&join_batch([&body.to_vec().into()])))
}
