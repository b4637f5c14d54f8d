//! What a poller remembers, in `ESO_RELAY_POLLS`. A version is written after the `PubAck` of its event: a crash in
//! between publishes the same event again, and the other order would lose it.

use std::{future::Future, sync::Mutex, sync::PoisonError, time::Duration};

use anyhow::Context as _;
use async_nats::jetstream::{
    Context,
    consumer::{AckPolicy, DeliverPolicy, pull},
    message::PublishMessage,
};
use eso_relay::{
    Slug,
    admin::ProblemLog,
    stream::{Lease, Pass, Polled, Stream, Watched, stored},
};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::sleep;
use tracing::warn;

/// For how long the version of a secret is remembered that is not polled any more.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(24);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A reader of the watch list that has gone away leaves nothing on the server.
const READER_GONE: Duration = Duration::from_secs(30);
/// Messages of one request for the watch list.
const BATCH: usize = 500;

/// What to do with the version of a secret that is not polled any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unwanted {
    /// It is unwanted from now on.
    Mark,
    Keep,
    Forget,
}

impl Unwanted {
    /// `since`: the mark, if there is one.
    pub(super) fn at(now: Timestamp, since: Option<Timestamp>) -> Self {
        match since {
            None => Self::Mark,
            Some(since) if now.duration_since(since) >= FORGOTTEN_AFTER => Self::Forget,
            Some(_) => Self::Keep,
        }
    }
}

pub(super) struct Memory {
    jetstream: Context,
    poll: Slug,
    logged: Mutex<ProblemLog>,
}

impl Memory {
    pub(super) fn new(jetstream: Context, poll: Slug) -> Self {
        Self {
            jetstream,
            poll,
            logged: Mutex::default(),
        }
    }

    /// The version that was seen last; one that cannot be read counts as none.
    pub(super) async fn version(&self, subject: &str) -> Option<Polled> {
        let last = || self.last::<Polled>(subject);
        self.persist(last).await.and_then(|(polled, _)| polled)
    }

    pub(super) async fn remember(&self, subject: &str, polled: &Polled) {
        self.persist(|| self.write(subject, polled)).await;
    }

    pub(super) async fn last_pass(&self) -> Option<Pass> {
        let subject = Pass::subject(&self.poll);
        let last = || self.last::<Pass>(&subject);
        self.persist(last).await.and_then(|(pass, _)| pass)
    }

    pub(super) async fn passed(&self, pass: &Pass) {
        let subject = Pass::subject(&self.poll);
        self.persist(|| self.write(&subject, pass)).await;
    }

    /// The subjects of all versions of this poll.
    pub(super) async fn subjects(&self) -> Vec<String> {
        self.persist(|| self.list()).await
    }

    pub(super) async fn forget(&self, subject: &str) {
        self.persist(async || {
            let stream = self.stream().await?;
            let purged = stream.purge().filter(subject).await;
            purged.with_context(|| denied("purge", "STREAM.PURGE"))?;
            Ok(())
        })
        .await;
    }

    /// What the clusters ask pollers to watch.
    pub(super) async fn watched(&self) -> Vec<Watched> {
        self.persist(|| self.read_watched()).await
    }

    /// The lease and its sequence, 0 if there is none.
    pub(super) async fn lease(&self) -> anyhow::Result<(Option<Lease>, u64)> {
        let last = self.last::<Lease>(&Lease::subject(&self.poll)).await?;
        Ok(last.unwrap_or((None, 0)))
    }

    /// Returns the new sequence; `None` if another replica has written in between.
    pub(super) async fn lease_after(
        &self,
        sequence: u64,
        lease: &Lease,
    ) -> anyhow::Result<Option<u64>> {
        let subject = Lease::subject(&self.poll);
        let payload = serde_json::to_vec(lease)?.into();
        let (stream, to) = (Stream::Polls, subject.clone());
        let sent = stored::store_after(&self.jetstream, stream, to, sequence, payload).await;
        sent.with_context(|| unwritten(&subject))
    }

    async fn stream(&self) -> anyhow::Result<async_nats::jetstream::stream::Stream<()>> {
        Ok(self
            .jetstream
            .get_stream_no_info(Stream::Polls.name())
            .await?)
    }

    async fn last<T: DeserializeOwned>(
        &self,
        subject: &str,
    ) -> anyhow::Result<Option<(Option<T>, u64)>> {
        let last = stored::last(&self.jetstream, Stream::Polls, subject).await?;
        Ok(last.map(|message| {
            let value = serde_json::from_slice(&message.payload).ok();
            (value, message.sequence)
        }))
    }

    async fn write(&self, subject: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let message = PublishMessage::build()
            .expected_stream(Stream::Polls.name())
            .payload(serde_json::to_vec(value)?.into());
        let sent = self
            .jetstream
            .send_publish(subject.to_owned(), message)
            .await;
        let stored = sent.with_context(|| unwritten(subject))?.await;
        stored.with_context(|| unwritten(subject))?;
        Ok(())
    }

    async fn list(&self) -> anyhow::Result<Vec<String>> {
        let stream = self.stream().await?;
        let listed = stream
            .info_with_subjects(Polled::subjects(&self.poll))
            .await;
        let listed = listed.with_context(|| denied("list", "STREAM.INFO"))?;
        let subjects = listed.map_ok(|(subject, _)| subject);
        let subjects = subjects.try_collect::<Vec<_>>().await;
        subjects.with_context(|| denied("list", "STREAM.INFO"))
    }

    async fn read_watched(&self) -> anyhow::Result<Vec<Watched>> {
        let stream = self.stream().await?;
        let reader = pull::Config {
            deliver_policy: DeliverPolicy::LastPerSubject,
            filter_subject: Watched::subjects(),
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: READER_GONE,
            ..pull::Config::default()
        };
        let reader = stream.create_consumer(reader).await;
        let reader = reader.with_context(|| denied("read the watch list of", "CONSUMER.CREATE"))?;
        let mut left = reader.cached_info().num_pending;
        let mut watched = Vec::new();
        while left > 0 {
            let batch = reader.fetch().max_messages(BATCH).messages().await;
            let mut batch =
                batch.with_context(|| denied("read the watch list of", "CONSUMER.MSG.NEXT"))?;
            let mut arrived = false;
            while let Some(message) = batch.next().await {
                let message = message.map_err(anyhow::Error::from_boxed)?;
                let info = message.info().map_err(anyhow::Error::from_boxed)?;
                (left, arrived) = (info.pending, true);
                // One that an other version wrote is left out.
                watched.extend(serde_json::from_slice::<Watched>(&message.payload).ok());
            }
            // What was pending may have been purged since.
            if !arrived {
                break;
            }
        }
        Ok(watched)
    }

    /// Tries until it succeeds. Each new reason is logged once.
    async fn persist<T, F: Future<Output = anyhow::Result<T>>>(
        &self,
        attempt: impl Fn() -> F,
    ) -> T {
        let mut pause = Duration::from_millis(500);
        loop {
            let attempted = attempt().await;
            {
                let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
                let problem = match attempted {
                    Ok(value) => {
                        logged.clear();
                        return value;
                    }
                    Err(error) => format!("{error:#}"),
                };
                if logged.is_new(&problem) {
                    warn!(poll = %self.poll, problem, "cannot use what the poller remembers; trying again");
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn unwritten(subject: &str) -> String {
    stored::unwritten(Stream::Polls, subject)
}

fn denied(what: &str, api: &str) -> String {
    stored::denied(what, Stream::Polls, api)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_forgotten_a_day_after_it_was_last_wanted() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let since = time("2026-11-30T12:00:00Z");
        for (now, expected) in [
            ("2026-11-30T12:00:00Z", Unwanted::Keep),
            ("2026-12-01T11:59:59.999Z", Unwanted::Keep),
            ("2026-12-01T12:00:00Z", Unwanted::Forget),
            ("2027-12-01T12:00:00Z", Unwanted::Forget),
            // Of a replica whose clock is behind.
            ("2026-11-30T11:00:00Z", Unwanted::Keep),
        ] {
            assert_eq!(Unwanted::at(time(now), Some(since)), expected, "{now}");
        }
        assert_eq!(Unwanted::at(since, None), Unwanted::Mark);
    }
}
