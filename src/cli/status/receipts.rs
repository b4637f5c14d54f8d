//! What the receipts of the last hour say, cluster by cluster.

use std::collections::BTreeMap;

use async_nats::{
    datetime::DateTime,
    jetstream::{Context, consumer::DeliverPolicy},
};
use eso_relay::stream::{Receipt, Stream};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::cli::scan::{Scan, scan};

/// Which receipts are counted.
const LATEST: SignedDuration = SignedDuration::from_hours(1);

/// Counts events, and objects that they mean: one that two events mean counts twice.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Told {
    pub(super) events: usize,
    /// Events that match nothing there.
    pub(super) unmatched: usize,
    /// Objects that can be refreshed.
    pub(super) matched: usize,
    pub(super) synced: usize,
    /// Objects whose sync ESO failed with, or whose patch was refused or given up.
    pub(super) failed: usize,
    /// Objects of which ESO has said nothing in the time that it had.
    pub(super) silent: usize,
    /// Objects at which a newer event answers for it.
    pub(super) superseded: usize,
    /// Objects that a refresh would not reach.
    pub(super) skipped: usize,
}

impl Told {
    fn add(&mut self, receipt: &Receipt) {
        let counts = &receipt.counts;
        let skipped: usize = receipt.skipped.values().sum();
        self.events += 1;
        self.unmatched += usize::from(receipt.matched + skipped == 0);
        self.matched += receipt.matched;
        self.synced += counts.synced;
        self.failed += counts.failed + counts.refused + counts.gave_up;
        self.silent += counts.silent;
        self.superseded += counts.superseded;
        self.skipped += skipped;
    }
}

pub(super) async fn receipts(
    jetstream: &Context,
    now: Timestamp,
) -> anyhow::Result<BTreeMap<String, Told>> {
    let since = now.saturating_sub(LATEST)?;
    let start_time = DateTime::from_unix_timestamp_nanos(since.as_nanosecond())?;
    let latest = Scan {
        stream: Stream::Receipts,
        filter: Stream::Receipts.subjects().to_owned(),
        start: DeliverPolicy::ByStartTime { start_time },
        headers_only: false,
    };
    let mut told = BTreeMap::<String, Told>::new();
    scan(jetstream, latest, |message, _| {
        // What a later version writes otherwise is not counted.
        if let Ok(receipt) = serde_json::from_slice::<Receipt>(&message.payload) {
            let cluster = told.entry(receipt.cluster.to_string());
            cluster.or_default().add(&receipt);
        }
    })
    .await?;
    Ok(told)
}
