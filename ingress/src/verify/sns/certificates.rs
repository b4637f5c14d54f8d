//! Certificates of SNS, cached.
//!
//! A client that knows a topic can invent names of certificates in its region. So each URL is fetched by one
//! task, however many requests wait for it; a failed fetch is not repeated at once; a token bucket limits the
//! fetches of each region; and a certificate that was fetched once is exempt from that and evicted last.

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
use crate::{
    outgoing::{Https, Outgoing},
    token_bucket::TokenBucket,
};

/// Bytes of a file; AWS's have about two thousand.
const LARGEST: usize = 32 * 1024;
/// The pause before a failed URL is fetched again. Below the 20 s after which SNS retries.
pub(super) const REST: Duration = Duration::from_secs(10);
/// The most URLs to remember. AWS has one or a few for each region; the others are failures.
pub(super) const MOST_KNOWN: usize = 256;
/// The most fetches of unknown names that may begin at once in a region.
pub(super) const MOST_FETCHES: u32 = 30;
/// The interval after which one more may begin: far below the 20 s after which SNS retries.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);

type Fetch = Shared<BoxFuture<'static, Option<Arc<Certificate>>>>;

pub(super) struct Certificates {
    outgoing: Outgoing,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// By URL.
    fetches: BTreeMap<String, Begun>,
    /// By region, of which there are as many as the topics have: the fetches that may begin.
    allowed: BTreeMap<String, TokenBucket>,
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

    /// Adds a certificate as if it had just been fetched.
    pub(super) fn know(&self, url: &Https, certificate: Certificate) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = Begun {
            fetch: ready(Some(Arc::new(certificate))).boxed().shared(),
            at: Instant::now(),
        };
        begun.look();
        known.fetches.insert(url.to_string(), begun);
    }

    /// A cached certificate.
    pub(super) fn known(&self, url: &Https, now: Timestamp) -> Option<Arc<Certificate>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let certificate = known.fetches.get(&url.to_string())?.certificate()?;
        certificate.is_valid(now).then(|| Arc::clone(certificate))
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

    /// The fetch of this URL, begun now if needed. `None` when the limit is reached.
    fn fetch(&self, url: &Https, now: Timestamp) -> Option<Fetch> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let name = url.to_string();
        let begun = known.fetches.get(&name);
        if let Some(begun) = begun
            && (begun.is_of_use(now) || begun.at.elapsed() < REST)
        {
            return Some(begun.fetch.clone());
        }
        // A name that AWS has served before is not limited.
        if begun.is_none_or(|begun| begun.certificate().is_none()) {
            known.allows_fetch(url.sns_region()?).then_some(())?;
        }
        known.make_room();
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
    /// Whether one more fetch may begin in this region; if so it counts.
    fn allows_fetch(&mut self, region: &str) -> bool {
        let full = || TokenBucket::new(INTERVAL, INTERVAL * MOST_FETCHES);
        let bucket = self.allowed.entry(region.to_owned()).or_insert_with(full);
        bucket.take(Instant::now())
    }

    /// Evicts the oldest failure, and only without one the oldest certificate.
    fn make_room(&mut self) {
        if self.fetches.len() < MOST_KNOWN {
            return;
        }
        let ended = self.fetches.iter().filter(|(_, begun)| begun.look());
        let worst = ended.min_by_key(|(_, begun)| (begun.certificate().is_some(), begun.at));
        if let Some(name) = worst.map(|(name, _)| name.clone()) {
            self.fetches.remove(&name);
        }
    }
}

impl Begun {
    /// Polls the fetch, also when no request waits for it. Whether it has ended.
    fn look(&self) -> bool {
        self.fetch.clone().now_or_never().is_some()
    }

    /// The certificate, valid or not.
    fn certificate(&self) -> Option<&Arc<Certificate>> {
        self.fetch.peek()?.as_ref()
    }

    /// It is running, or has fetched a certificate that is still valid.
    fn is_of_use(&self, now: Timestamp) -> bool {
        match self.fetch.peek() {
            None => true,
            Some(_) => self
                .certificate()
                .is_some_and(|certificate| certificate.is_valid(now)),
        }
    }
}

/// In a task of its own: a request that is cancelled does not cancel it for the others.
fn fetch(outgoing: Outgoing, url: Https) -> Fetch {
    let fetch = tokio::spawn(async move {
        let problem = match outgoing.get(&url, LARGEST).await {
            Ok(pem) => match Certificate::parse(&pem) {
                Some(certificate) => return Some(Arc::new(certificate)),
                None => "it is not a certificate in PEM".to_owned(),
            },
            Err(unreachable) => unreachable.to_string(),
        };
        warn!(%url, problem, "cannot fetch a certificate of SNS; messages that name it are answered 503");
        None
    });
    fetch.map(|ended| ended.ok().flatten()).boxed().shared()
}
