//! The event in the stream, or what receipts say of one that is not there any more.

use anyhow::{Context as _, bail};
use async_nats::jetstream::{Context, consumer::DeliverPolicy};
use eso_relay::{
    Event, Slug,
    event::{Fingerprint, decode_batch},
    stream::{Receipt, Stream},
};
use jiff::Timestamp;

use crate::cli::{
    output::timestamp,
    scan::{Scan, scan},
};

pub(super) struct Found {
    pub(super) fingerprint: Fingerprint,
    pub(super) source: Slug,
    pub(super) trace_id: Option<String>,
    pub(super) received_at: Timestamp,
    /// 0 for what was never there: the refresh after events were missed.
    pub(super) sequence: u64,
    pub(super) stored: Option<Stored>,
}

/// As it stands in the stream.
pub(super) struct Stored {
    pub(super) event: Event,
    pub(super) at: Timestamp,
}

impl Found {
    fn stored(event: Event, sequence: u64, at: Timestamp) -> Self {
        Self {
            fingerprint: event.fingerprint(),
            source: event.source.clone(),
            trace_id: event.traceparent.map(|trace| trace.trace_id()),
            received_at: event.asked_at(),
            sequence,
            stored: Some(Stored { event, at }),
        }
    }

    fn told(receipt: Receipt) -> Self {
        Self {
            fingerprint: receipt.fingerprint,
            source: receipt.source,
            trace_id: receipt.trace_id,
            received_at: receipt.received_at,
            sequence: receipt.sequence,
            stored: None,
        }
    }
}

/// By fingerprint, with the help of a receipt; else by reading the whole stream.
pub(super) async fn find(jetstream: &Context, name: &str) -> anyhow::Result<Found> {
    let fingerprint: Option<Fingerprint> = name.parse().ok();
    let mut receipt = None;
    if let Some(fingerprint) = fingerprint {
        receipt = newest_receipt(jetstream, fingerprint).await?;
        if let Some(receipt) = &receipt
            && let Some(found) = by_receipt(jetstream, receipt).await?
        {
            return Ok(found);
        }
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
            let at = timestamp(info.published);
            found = Some(Found::stored(event, info.stream_sequence, at));
        }
    })
    .await?;
    let Some(found) = found.or_else(|| receipt.map(Found::told)) else {
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

async fn newest_receipt(
    jetstream: &Context,
    fingerprint: Fingerprint,
) -> anyhow::Result<Option<Receipt>> {
    let mut newest = None;
    let receipts = Scan {
        stream: Stream::Receipts,
        filter: format!("eso-relay.receipts.*.*.*.{fingerprint}"),
        start: DeliverPolicy::All,
        headers_only: false,
    };
    scan(jetstream, receipts, |message, _| {
        let receipt = serde_json::from_slice::<Receipt>(&message.payload);
        newest = receipt.ok().or(newest.take());
    })
    .await?;
    Ok(newest)
}

async fn by_receipt(jetstream: &Context, receipt: &Receipt) -> anyhow::Result<Option<Found>> {
    let events = jetstream.get_stream_no_info(Stream::Events.name()).await;
    let events = events.context("cannot look at the events stream")?;
    let sequence = receipt.sequence;
    // Removed meanwhile, or of a stream before this one: the scan tells.
    let Ok(message) = events.get_raw_message(sequence).await else {
        return Ok(None);
    };
    let is_meant = |event: &Event| event.fingerprint() == receipt.fingerprint;
    let event = pick(&message.payload, is_meant);
    Ok(event.map(|event| Found::stored(event, sequence, timestamp(message.time))))
}
