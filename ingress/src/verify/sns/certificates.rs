//! Certificates of SNS, cached.
//!
//! Whoever knows the path of a source can name a URL, as long as it is SNS's. So each URL is fetched
//! by one task, however many wait for it; a fetch that failed is not repeated at once; and fetches
//! of all URLs together are few.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared, ready},
};
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::warn;

use super::{Certificate, Refused, Unauthorized};
use crate::outgoing::{Https, Outgoing};

/// Bytes of a file; AWS's have about two thousand.
const LARGEST: usize = 32 * 1024;
/// Before a URL that brought nothing of use is fetched again. Below the 20 s after which SNS tries
/// again.
pub(super) const REST: Duration = Duration::from_secs(10);
/// AWS has one or a few for each region.
const MOST_KNOWN: usize = 256;
/// Fetches that may begin in one [`WINDOW`].
pub(super) const MOST_FETCHES: usize = 30;
pub(super) const WINDOW: Duration = Duration::from_secs(60);

type Fetch = Shared<BoxFuture<'static, Option<Arc<Certificate>>>>;

pub(super) struct Certificates {
    outgoing: Outgoing,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// By URL.
    fetches: BTreeMap<String, Begun>,
    /// Of the window that runs.
    window: Option<Instant>,
    begun: usize,
}

struct Begun {
    fetch: Fetch,
    at: Instant,
}

impl Certificates {
    pub(super) fn new(outgoing: Outgoing) -> Self {
        Self {
            outgoing,
            known: Mutex::default(),
        }
    }

    /// As if it had been fetched now.
    pub(super) fn know(&self, url: &Https, certificate: Certificate) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = Begun {
            fetch: ready(Some(Arc::new(certificate))).boxed().shared(),
            at: Instant::now(),
        };
        known.fetches.insert(url.to_string(), begun);
    }

    pub(super) async fn get(
        &self,
        url: &Https,
        now: Timestamp,
    ) -> Result<Arc<Certificate>, Refused> {
        let fetch = self.fetch(url, now).ok_or(Refused::Unavailable)?;
        let certificate = fetch.await.ok_or(Refused::Unavailable)?;
        if certificate.is_valid(now) {
            Ok(certificate)
        } else {
            Err(Unauthorized.into())
        }
    }

    /// The fetch of this URL, begun now if need be. `None` when that were one too many.
    fn fetch(&self, url: &Https, now: Timestamp) -> Option<Fetch> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let name = url.to_string();
        if let Some(begun) = known.fetches.get(&name)
            && (begun.is_of_use(now) || begun.at.elapsed() < REST)
        {
            return Some(begun.fetch.clone());
        }
        known.count()?;
        known.make_room(now);
        let begun = Begun {
            fetch: fetch(self.outgoing.clone(), url.clone()),
            at: Instant::now(),
        };
        let fetch = begun.fetch.clone();
        known.fetches.insert(name, begun);
        Some(fetch)
    }
}

impl Known {
    /// One more fetch, if it may be.
    fn count(&mut self) -> Option<()> {
        if self.window.is_none_or(|began| began.elapsed() >= WINDOW) {
            self.window = Some(Instant::now());
            self.begun = 0;
        }
        self.begun += 1;
        (self.begun <= MOST_FETCHES).then_some(())
    }

    /// What is of no use goes first, then what is oldest.
    fn make_room(&mut self, now: Timestamp) {
        if self.fetches.len() < MOST_KNOWN {
            return;
        }
        let fetches = self.fetches.iter();
        let worst = fetches.min_by_key(|(_, begun)| (begun.is_of_use(now), begun.at));
        if let Some(name) = worst.map(|(name, _)| name.clone()) {
            self.fetches.remove(&name);
        }
    }
}

impl Begun {
    /// Under way, or it brought a certificate that is still valid.
    fn is_of_use(&self, now: Timestamp) -> bool {
        match self.fetch.peek() {
            None => true,
            Some(certificate) => certificate
                .as_ref()
                .is_some_and(|found| found.is_valid(now)),
        }
    }
}

/// In a task of its own: a request that goes away takes nothing from the others.
fn fetch(outgoing: Outgoing, url: Https) -> Fetch {
    let fetch = tokio::spawn(async move {
        let problem = match outgoing.get(&url, LARGEST).await {
            Ok(pem) => match Certificate::parse(&pem) {
                Some(certificate) => return Some(Arc::new(certificate)),
                None => "it is not a certificate in PEM".to_owned(),
            },
            Err(unreachable) => unreachable.to_string(),
        };
        warn!(%url, problem, "no certificate of SNS; its messages are answered 503");
        None
    });
    fetch.map(|ended| ended.ok().flatten()).boxed().shared()
}
