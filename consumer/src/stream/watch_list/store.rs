//! Reads and writes the list in `ESO_RELAY_POLLS`.

use anyhow::{Context as _, bail};
use async_nats::jetstream::Context;
use eso_relay::{
    Slug,
    stream::{Stream, Watched, stored, verify},
};
use futures::TryStreamExt as _;

use super::list::PathId;

const NAME: &str = Stream::Polls.name();

#[derive(Clone)]
pub(super) struct WatchListStore {
    pub(super) jetstream: Context,
    pub(super) cluster: Slug,
}

/// What shows that messages were removed, without looking at each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamState {
    pub(super) created: i128,
    pub(super) messages: u64,
}

impl WatchListStore {
    pub(super) async fn state(&self) -> anyhow::Result<StreamState> {
        let found = stored::find(&self.jetstream, Stream::Polls).await;
        let found = found.with_context(|| denied("read", "STREAM.INFO"))?;
        let Some(stream) = found else {
            bail!(verify::Problem::NoStream(Stream::Polls));
        };
        let info = stream.cached_info();
        Ok(StreamState {
            created: info.created.unix_timestamp_nanos(),
            messages: info.state.messages,
        })
    }

    /// The paths of this cluster in the stream.
    pub(super) async fn stored(&self) -> anyhow::Result<Vec<PathId>> {
        let failed = || denied("read", "STREAM.INFO");
        let stream = self.jetstream.get_stream_no_info(NAME).await?;
        let subjects = stream.info_with_subjects(Watched::subjects_of(&self.cluster));
        let mut subjects = subjects.await.with_context(failed)?;
        let mut stored = Vec::new();
        while let Some((subject, _)) = subjects.try_next().await.with_context(failed)? {
            stored.extend(PathId::of(&subject));
        }
        Ok(stored)
    }

    /// Only if it is not there: another replica may have published it.
    pub(super) async fn publish(&self, watched: &Watched) -> anyhow::Result<()> {
        let subject = watched.subject(&self.cluster);
        let payload = serde_json::to_vec(watched)?.into();
        let sent = stored::store_after(&self.jetstream, Stream::Polls, subject, 0, payload).await;
        // One reason for all paths.
        let all = || stored::unwritten(Stream::Polls, &Watched::subjects_of(&self.cluster));
        sent.with_context(all)?;
        Ok(())
    }

    pub(super) async fn remove(&self, id: PathId) -> anyhow::Result<()> {
        let stream = self.jetstream.get_stream_no_info(NAME).await?;
        let purged = stream.purge().filter(id.subject(&self.cluster)).await;
        purged.with_context(|| denied("remove from", "STREAM.PURGE"))?;
        Ok(())
    }
}

fn denied(verb: &str, api: &str) -> String {
    stored::denied(verb, Stream::Polls, api)
}
