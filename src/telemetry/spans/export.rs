//! The task that sends finished spans to the collector, in batches. Nothing waits for it.

use std::{mem, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use opentelemetry_proto::tonic::trace::v1::Span;
use prometheus_client::metrics::counter::Counter;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::destination::{Destination, Refused};

/// The most spans of one request.
const BATCH: usize = 512;
/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// For the last spans, at the end of the process.
const LAST: Duration = Duration::from_secs(1);
/// How often a batch is sent again, a second and more apart: some 15 s.
const RETRIES: usize = 4;

/// Sends what the [`Tracer`](super::Tracer)s record.
pub struct Exporter {
    destination: Destination,
    spans: mpsc::Receiver<Span>,
    /// What is being sent: kept until the collector has it.
    batch: Vec<Span>,
    pub(super) dropped: Counter,
    /// The collector has not taken the last batch, and that is logged.
    is_away: bool,
}

impl Exporter {
    pub(super) fn new(
        destination: Destination,
        spans: mpsc::Receiver<Span>,
        dropped: Counter,
    ) -> Self {
        Self {
            destination,
            spans,
            batch: Vec::new(),
            dropped,
            is_away: false,
        }
    }

    /// Runs until `closing`, or until every tracer is dropped; then sends what waits, for a second at most. What is
    /// left is dropped and counted.
    pub async fn run(mut self, closing: CancellationToken) -> anyhow::Result<()> {
        closing.run_until_cancelled(self.send_all()).await;
        self.spans.close();
        timeout(LAST, self.send_last()).await.ok();
        self.drop_batch();
        while self.spans.try_recv().is_ok() {
            self.dropped.inc();
        }
        Ok(())
    }

    async fn send_all(&mut self) {
        while self.gather().await {
            self.deliver().await;
        }
    }

    /// Fills the batch. False: there will be no more spans.
    async fn gather(&mut self) -> bool {
        let Some(first) = self.spans.recv().await else {
            return false;
        };
        self.batch.push(first);
        let end = Instant::now() + GATHER;
        while self.batch.len() < BATCH
            && let Ok(Some(span)) = timeout_at(end, self.spans.recv()).await
        {
            self.batch.push(span);
        }
        true
    }

    /// Sends the batch, again where that may help, and drops it in the end.
    async fn deliver(&mut self) {
        let mut pauses = ExponentialBuilder::new()
            .with_jitter()
            .with_max_times(RETRIES)
            .build();
        while let Err(refused) = self.attempt().await {
            match pauses.next() {
                Some(pause) if refused.is_temporary() => sleep(pause).await,
                _ => return self.drop_batch(),
            }
        }
    }

    async fn attempt(&mut self) -> Result<(), Refused> {
        match self.destination.send(&self.batch).await {
            Ok(rejected) => {
                self.dropped.inc_by(rejected);
                self.batch.clear();
                if mem::take(&mut self.is_away) {
                    info!("the collector takes traces again");
                }
                Ok(())
            }
            Err(refused) => {
                // Once for the whole outage: the metric counts.
                if !mem::replace(&mut self.is_away, true) {
                    warn!(problem = %refused, "the collector does not take traces; they are dropped and counted");
                }
                Err(refused)
            }
        }
    }

    async fn send_last(&mut self) {
        loop {
            while self.batch.len() < BATCH
                && let Ok(span) = self.spans.try_recv()
            {
                self.batch.push(span);
            }
            if self.batch.is_empty() || self.attempt().await.is_err() {
                return;
            }
        }
    }

    fn drop_batch(&mut self) {
        self.dropped.inc_by(self.batch.len() as u64);
        self.batch.clear();
    }
}
