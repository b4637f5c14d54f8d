//! The watch list: publishes what this cluster reads from Vault and OpenBao, for pollers.
//!
//! A task of its own, which the worker does not wait for. It goes over the index in parts, whenever what is read has
//! changed, publishes what the stream does not hold, and removes what has not been read for a while. Every replica does
//! this. Their indexes may differ for moments, so a path stays for `watch_list.keep` after its last reader, and one that
//! another replica has removed too early is published again.

mod list;
mod store;

use std::{convert::Infallible, future::pending, time::Duration};

use async_nats::{Client, connection::State, jetstream::Context};
use eso_relay::{Slug, admin::ProblemLog, nats, stream::Watched};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep},
};
use tracing::{info, warn};

use self::{
    list::{List, PathId},
    store::{StreamState, WatchListStore},
};
use crate::{
    matching::index::{Index, Part, Place},
    report::metrics::WatchListMetrics,
};

/// Between two looks at the index: longer after a long pass, which then takes a twentieth of the worker's time at most.
const PAUSE: Duration = Duration::from_secs(2);
const MAX_PAUSE: Duration = Duration::from_secs(60);
const REST: u32 = 20;
/// After a failure; doubled with each further one.
const RETRY: Duration = Duration::from_secs(5);
const MAX_RETRY: Duration = Duration::from_secs(300);
/// What the stream holds is read again after this time at the latest.
const REREAD: Duration = Duration::from_secs(600);
/// Publishes, and removals, under way at once.
const IN_FLIGHT: usize = 64;

/// A request for what the index holds.
pub(crate) struct Ask {
    pub(crate) from: Place,
    /// The revision that is known already.
    pub(crate) unless: Option<u64>,
    pub(crate) answer: oneshot::Sender<Answer>,
}

pub(crate) enum Answer {
    /// Not everything has been listed once.
    Incomplete,
    Unchanged {
        revision: u64,
    },
    Part {
        revision: u64,
        part: Part,
    },
}

impl Ask {
    pub(crate) fn answer_from(self, index: &Index) {
        let revision = index.revision();
        let answer = if !index.is_synced() {
            Answer::Incomplete
        } else if self.unless == Some(revision) {
            Answer::Unchanged { revision }
        } else {
            let part = index.watched(self.from);
            Answer::Part { revision, part }
        };
        // The task may have ended.
        self.answer.send(answer).ok();
    }
}

pub(crate) struct WatchList {
    client: Client,
    store: WatchListStore,
    asks: mpsc::Sender<Ask>,
    keep: Duration,
    metrics: WatchListMetrics,
    list: List,
    /// The connection and the state of the stream when it was read last, and when that was.
    reread: Option<(u64, StreamState, Instant)>,
    /// That of the last whole pass.
    revision: Option<u64>,
    started: Instant,
}

impl WatchList {
    /// The task, and what the worker receives from it.
    pub(crate) fn new(
        jetstream: Context,
        cluster: Slug,
        keep: Duration,
        metrics: WatchListMetrics,
    ) -> (Self, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(1);
        let watch_list = Self {
            client: jetstream.client(),
            store: WatchListStore { jetstream, cluster },
            asks,
            keep,
            metrics,
            list: List::default(),
            reread: None,
            revision: None,
            started: Instant::now(),
        };
        (watch_list, asked)
    }

    pub(crate) async fn run(mut self) -> Infallible {
        let (mut log, mut failures) = (ProblemLog::default(), 0);
        loop {
            // A request without a connection would only time out.
            while self.client.connection_state() != State::Connected {
                sleep(PAUSE).await;
            }
            let pause = match self.pass().await {
                Ok(asked) => {
                    if failures > 0 {
                        info!("the watch list is up to date again");
                    }
                    log.clear();
                    failures = 0;
                    (asked * REST).clamp(PAUSE, MAX_PAUSE)
                }
                Err(error) => {
                    self.metrics.failed();
                    // What the stream holds is not known for sure.
                    self.reread = None;
                    let problem = format!("{error:#}");
                    if log.is_new(&problem) {
                        warn!(
                            problem,
                            "cannot publish the watch list: pollers may miss paths of this cluster; events are not affected"
                        );
                    }
                    failures += 1;
                    RETRY
                        .saturating_mul(1 << (failures - 1).min(10))
                        .min(MAX_RETRY)
                }
            };
            sleep(pause).await;
        }
    }

    /// Compares the index with the stream, if either has changed, and brings the stream up to date. Returns how long it
    /// waited for the worker.
    async fn pass(&mut self) -> anyhow::Result<Duration> {
        self.read_stream().await?;
        self.list.begin_pass();
        let (mut from, mut unless) = (Place::START, self.revision.take());
        let (mut first, mut asked) = (None, Duration::ZERO);
        loop {
            let asks = Instant::now();
            let answer = self.ask(from, unless.take()).await;
            asked += asks.elapsed();
            let (revision, part) = match answer {
                Answer::Incomplete => return Ok(asked),
                Answer::Unchanged { revision } => {
                    self.revision = Some(revision);
                    break;
                }
                Answer::Part { revision, part } => (revision, part),
            };
            self.publish(part.paths).await?;
            // What changes during a pass is found by the next one.
            let first = *first.get_or_insert(revision);
            let Some(next) = part.next else {
                self.list.end_pass(self.started.elapsed());
                self.metrics.paths(self.list.read());
                self.revision = Some(first);
                break;
            };
            from = next;
        }
        self.remove_unread().await?;
        Ok(asked)
    }

    /// Reads what the stream holds, on a new connection, after this replica has published or messages were removed, and
    /// now and then.
    async fn read_stream(&mut self) -> anyhow::Result<()> {
        let connection = nats::connection(&self.client);
        let state = self.store.state().await?;
        let known = self.reread.filter(|(on, last, at)| {
            *on == connection
                && state.created == last.created
                && state.messages >= last.messages
                && at.elapsed() < REREAD
        });
        let at = if let Some((_, _, at)) = known {
            at
        } else {
            self.list.set_stored(self.store.stored().await?);
            self.revision = None;
            Instant::now()
        };
        self.reread = Some((connection, state, at));
        Ok(())
    }

    async fn ask(&self, from: Place, unless: Option<u64>) -> Answer {
        let (answer, answered) = oneshot::channel();
        let ask = Ask {
            from,
            unless,
            answer,
        };
        if self.asks.send(ask).await.is_ok()
            && let Ok(answer) = answered.await
        {
            return answer;
        }
        // The worker has ended, and so will the process.
        pending().await
    }

    /// Publishes those that the stream does not hold.
    async fn publish(&mut self, paths: Vec<Watched>) -> anyhow::Result<()> {
        let cluster = &self.store.cluster;
        let of = |path: Watched| Some((PathId::of(&path.subject(cluster))?, path));
        let mut paths: Vec<_> = paths.into_iter().filter_map(of).collect();
        paths.retain(|(id, _)| self.list.found(*id));
        let published = paths.into_iter().map(|(id, path)| {
            let store = self.store.clone();
            async move { store.publish(&path).await.map(|()| id) }
        });
        let published: Vec<_> = published.collect();
        let mut published = stream::iter(published).buffer_unordered(IN_FLIGHT);
        while let Some(id) = published.try_next().await? {
            self.list.published(id);
            // So that what is removed right after it is missed.
            self.reread = None;
            self.metrics.published();
        }
        Ok(())
    }

    async fn remove_unread(&mut self) -> anyhow::Result<()> {
        let unread = self.list.unread(self.started.elapsed(), self.keep);
        let removed = unread.into_iter().map(|id| {
            let store = self.store.clone();
            async move { store.remove(id).await.map(|()| id) }
        });
        let removed: Vec<_> = removed.collect();
        let mut removed = stream::iter(removed).buffer_unordered(IN_FLIGHT);
        while let Some(id) = removed.try_next().await? {
            self.list.removed(id);
            self.metrics.removed();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::index::Change;

    fn answer(index: &Index, unless: Option<u64>) -> Answer {
        let (answer, mut answered) = oneshot::channel();
        let from = Place::START;
        let ask = Ask {
            from,
            unless,
            answer,
        };
        ask.answer_from(index);
        answered.try_recv().unwrap()
    }

    /// Else all that is not listed yet would count as unread.
    #[test]
    fn an_index_that_is_not_complete_is_not_read() {
        let mut index = Index::new();
        assert!(matches!(answer(&index, None), Answer::Incomplete));
        index.apply(Change::Synced);
        let Answer::Part { revision, part } = answer(&index, None) else {
            panic!("no part")
        };
        assert_eq!(part.next, None);
        let again = answer(&index, Some(revision));
        assert!(matches!(again, Answer::Unchanged { .. }));
    }
}
