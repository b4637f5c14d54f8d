//! Keys that the issuer publishes, cached.
//!
//! One fetch at a time, and one in 30 s: tokens with invented keys cause no storm. Keys are fetched again
//! before they are old, and stay valid during an outage of the issuer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{IssuerKeys, Keys, News};
use crate::outgoing::{Https, Outgoing, TIMEOUT, Unreachable};

/// Bytes; Google's takes about two thousand, Entra's twenty.
const LARGEST: usize = 256 * 1024;
/// Between the beginnings of two fetches.
const REST: Duration = Duration::from_secs(30);
/// Keys of this age are fetched again: well before they are an hour old.
const AGING: Duration = Duration::from_secs(45 * 60);
/// Keys of this age are not used, even while the issuer is unreachable.
const TOO_OLD: Duration = Duration::from_secs(24 * 60 * 60);

type Fetch = Box<dyn Fn() -> BoxFuture<'static, Result<Bytes, Unreachable>> + Send + Sync>;

pub(super) struct Issuer {
    origin: String,
    fetch: Fetch,
    state: watch::Sender<State>,
}

#[derive(Default)]
struct State {
    known: Option<Known>,
    /// When the last fetch began.
    began: Option<Instant>,
    /// It has not ended yet.
    fetching: bool,
    /// The last fetch that ended has failed.
    failing: bool,
    /// How many have failed.
    failures: u64,
    news: Option<News>,
}

struct Known {
    keys: Arc<Keys>,
    /// When their fetch began.
    since: Instant,
}

impl Issuer {
    pub(super) fn new(outgoing: &Outgoing, url: Https) -> Self {
        let outgoing = outgoing.clone();
        Self::with(url.to_string(), move || {
            let (outgoing, url) = (outgoing.clone(), url.clone());
            Box::pin(async move { outgoing.get(&url, LARGEST).await })
        })
    }

    fn with(
        origin: String,
        fetch: impl Fn() -> BoxFuture<'static, Result<Bytes, Unreachable>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            origin,
            fetch: Box::new(fetch),
            state: watch::Sender::default(),
        }
    }

    /// The cached keys.
    pub(super) fn known(self: &Arc<Self>) -> Option<Arc<Keys>> {
        self.begin(State::is_aging);
        self.state.borrow().keys()
    }

    /// The keys of a fetch within the last 30 s, or of a new one, which it waits for. `None` when that failed.
    pub(super) async fn newer(self: &Arc<Self>) -> Option<Arc<Keys>> {
        self.begin(|_, _| true);
        let mut state = self.state.subscribe();
        let ended = timeout(TIMEOUT, state.wait_for(|state| !state.fetching)).await;
        let state = ended.ok()?.ok()?;
        if state.failing { None } else { state.keys() }
    }

    /// Whether the fetch of the cached keys began at `moment` or later.
    pub(super) fn fetched_since(&self, moment: Instant) -> bool {
        let state = self.state.borrow();
        state
            .known
            .as_ref()
            .is_some_and(|known| known.since >= moment)
    }

    pub(super) fn state(&self) -> IssuerKeys {
        let state = self.state.borrow();
        IssuerKeys {
            age: state.known.as_ref().map(|known| known.since.elapsed()),
            failures: state.failures,
        }
    }

    /// Begins to fetch keys that are missing or old; a later call returns the result.
    pub(super) fn refresh(self: &Arc<Self>) -> Option<News> {
        self.begin(State::is_aging);
        let mut news = None;
        self.state.send_if_modified(|state| {
            news = state.news.take();
            false
        });
        news
    }

    /// A task of its own fetches: a request that is cancelled does not cancel it for the others.
    fn begin(self: &Arc<Self>, wanted: impl FnOnce(&State, Instant) -> bool) {
        let now = Instant::now();
        let begins = self.state.send_if_modified(|state| {
            let rested = state.began.is_none_or(|began| now >= began + REST);
            let begins = rested && wanted(state, now);
            if begins {
                state.began = Some(now);
                state.fetching = true;
            }
            begins
        });
        if begins {
            let issuer = Arc::clone(self);
            tokio::spawn(async move {
                let got = (issuer.fetch)().await;
                issuer.end(got, now);
            });
        }
    }

    fn end(&self, got: Result<Bytes, Unreachable>, since: Instant) {
        let keys = got
            .map_err(|error| error.to_string())
            .and_then(|jwks| Keys::parse(&jwks).map_err(|error| error.to_string()));
        let origin = self.origin.clone();
        self.state.send_modify(|state| {
            state.fetching = false;
            match keys {
                Ok(keys) => {
                    let same = state
                        .known
                        .as_ref()
                        .is_some_and(|known| *known.keys == keys);
                    if !same || state.failing {
                        let count = keys.count();
                        state.news = Some(News::Keys { origin, count });
                    }
                    state.failing = false;
                    let keys = Arc::new(keys);
                    state.known = Some(Known { keys, since });
                }
                Err(reason) => {
                    if !state.failing {
                        state.news = Some(News::Failure { origin, reason });
                    }
                    state.failing = true;
                    state.failures += 1;
                }
            }
        });
    }
}

impl State {
    fn keys(&self) -> Option<Arc<Keys>> {
        let known = self.known.as_ref();
        known
            .filter(|known| known.since.elapsed() < TOO_OLD)
            .map(|known| Arc::clone(&known.keys))
    }

    fn is_aging(&self, now: Instant) -> bool {
        let known = self.known.as_ref();
        known.is_none_or(|known| now >= known.since + AGING)
    }
}

#[cfg(test)]
mod tests;
