//! The event in the stream.

use anyhow::{Context as _, bail};
use async_nats::jetstream::{Context, consumer::DeliverPolicy};
use eso_relay::{
    Event,
    event::{Fingerprint, decode_batch},
    stream::{Receipt, Stream},
};
use jiff::Timestamp;

use crate::cli::{
    output::timestamp,
    scan::{Scan, scan},
};

pub(super) struct Found {
    pub(super) event: Event,
    pub(super) sequence: u64,
    pub(super) stored_at: Timestamp,
}

/// By fingerprint, with the help of a receipt; else by reading the whole stream.
pub(super) async fn find(jetstream: &Context, name: &str) -> anyhow::Result<Found> {
    let fingerprint: Option<Fingerprint> = name.parse().ok();
    if let Some(fingerprint) = fingerprint
        && let Some(found) = by_receipt(jetstream, fingerprint).await?
    {
        return Ok(found);
    }
    let is_meant =
        |event: &Event| event.id == name || fingerprint.is_some_and(|it| it == event.fingerprint());
    let mut found = None;
    let all = Scan {
        stream: Stream::Events,
        filter: Stream::Events.subjects().to_owned(),
        start: DeliverPolicy::All,
        headers_only: false,
    };
    scan(jetstream, all, |message, info| {
        if let Some(event) = pick(&message.payload, is_meant) {
            // The newest, if an id was used twice.
            found = Some(Found {
                event,
                sequence: info.stream_sequence,
                stored_at: timestamp(info.published),
            });
        }
    })
    .await?;
    let Some(found) = found else {
        bail!(
            "no event `{name}` in the stream: it was never accepted, or is older than --max-age (`eso-relay status` shows what there is)"
        );
    };
    Ok(found)
}

fn pick(body: &[u8], is_meant: impl Fn(&Event) -> bool) -> Option<Event> {
    let batch = decode_batch(body).ok()?;
    batch.into_iter().filter_map(Result::ok).find(is_meant)
}

async fn by_receipt(
    jetstream: &Context,
    fingerprint: Fingerprint,
) -> anyhow::Result<Option<Found>> {
    let mut sequence = None;
    let receipts = Scan {
        stream: Stream::Receipts,
        filter: format!("eso-relay.receipts.*.*.*.{fingerprint}"),
        start: DeliverPolicy::All,
        headers_only: false,
    };
    scan(jetstream, receipts, |message, _| {
        let receipt = serde_json::from_slice::<Receipt>(&message.payload);
        sequence = receipt.ok().map(|receipt| receipt.sequence).or(sequence);
    })
    .await?;
    let Some(sequence) = sequence else {
        return Ok(None);
    };
    let events = jetstream.get_stream_no_info(Stream::Events.name()).await;
    let events = events.context("cannot look at the events stream")?;
    // Removed meanwhile, or of a stream before this one: the scan tells.
    let Ok(message) = events.get_raw_message(sequence).await else {
        return Ok(None);
    };
    let event = pick(&message.payload, |event| event.fingerprint() == fingerprint);
    Ok(event.map(|event| Found {
        event,
        sequence,
        stored_at: timestamp(message.time),
    }))
}
