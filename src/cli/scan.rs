//! Reads what a stream holds now, and then stops.

use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    message::Info,
};
use eso_relay::stream::Stream;
use futures::StreamExt as _;

use super::progress::Progress;

const BATCH: usize = 500;
const EXPIRES: Duration = Duration::from_secs(3);
/// Longer than a pull request lives, and than the client's own reserve on top of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which messages of a stream.
pub(super) struct Scan {
    pub(super) stream: Stream,
    pub(super) filter: String,
    pub(super) start: DeliverPolicy,
    pub(super) headers_only: bool,
}

/// Hands every stored message to `each`, in order, up to the last one there is at the start.
///
/// An error rather than a silent gap when a message goes missing on the way.
pub(super) async fn scan(
    jetstream: &jetstream::Context,
    scan: Scan,
    mut each: impl FnMut(&jetstream::Message, &Info<'_>),
) -> anyhow::Result<()> {
    let name = scan.stream.name();
    let stream = jetstream
        .get_stream(name)
        .await
        .with_context(|| format!("cannot look at stream {name} (`eso-relay init` declares it)"))?;
    let last = stream.cached_info().state.last_sequence;
    let consumer: PullConsumer = stream
        .create_consumer(pull::Config {
            deliver_policy: scan.start,
            ack_policy: AckPolicy::None,
            filter_subject: scan.filter,
            headers_only: scan.headers_only,
            // If this process dies, the server tidies up.
            inactive_threshold: Duration::from_secs(60),
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        })
        .await
        .with_context(|| format!("cannot read stream {name}"))?;
    let result = read(&consumer, last, &mut each).await;
    let consumer = &consumer.cached_info().name;
    // A consumer that stays behind is gone after its inactive threshold.
    stream.delete_consumer(consumer).await.ok();
    result.with_context(|| format!("cannot read stream {name} to its end; nothing was changed"))
}

async fn read(
    consumer: &PullConsumer,
    last: u64,
    each: &mut impl FnMut(&jetstream::Message, &Info<'_>),
) -> anyhow::Result<()> {
    let mut progress = Progress::new("read", consumer.cached_info().num_pending);
    let (mut read, mut idle) = (0, 0);
    while consumer.get_info().await?.num_pending > 0 {
        let before = read;
        let fetch = consumer.fetch().max_messages(BATCH).expires(EXPIRES);
        let mut batch = fetch.messages().await?;
        // A batch of this client may end late or not at all: each step has its deadline.
        while let Some(message) = tokio::time::timeout(PATIENCE, batch.next())
            .await
            .context("the server stopped sending")?
        {
            let message = message.map_err(|error| anyhow!(error))?;
            let info = message.info().map_err(|error| anyhow!(error))?;
            read += 1;
            // Without acks a message that is lost on the way does not come again.
            ensure!(
                info.consumer_sequence == read,
                "a message was lost on the way; try again"
            );
            if info.stream_sequence > last {
                return Ok(());
            }
            each(&message, &info);
            progress.step();
            if info.stream_sequence == last {
                return Ok(());
            }
        }
        // What was pending may have expired meanwhile; the next look at the consumer tells.
        idle = if read == before { idle + 1 } else { 0 };
        ensure!(
            idle < 3,
            "the server has messages and does not send them; try again"
        );
    }
    Ok(())
}
