//! Certificates of SNS, cached.
//!
//! A client that knows a topic can make up names of certificates in its region. So each URL is fetched by one
//! task, however many wait for it; a fetch that failed is not repeated at once; in each region fetches
//! are few, and come back one by one, so that a flood that has ended delays nothing; and a certificate
//! that was there once costs nothing of this and is not pushed out.

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
/// Before a URL that brought nothing of use is fetched again. Below the 20 s after which SNS tries
/// again.
pub(super) const REST: Duration = Duration::from_secs(10);
/// AWS has one or a few for each region; the others brought nothing.
pub(super) const MOST_KNOWN: usize = 256;
/// Fetches of names that never brought a certificate which may begin at once in a region.
pub(super) const MOST_FETCHES: u32 = 30;
/// After which one more may begin: far below the 20 s after which SNS tries again.
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

    /// As if it had been fetched now.
    pub(super) fn know(&self, url: &Https, certificate: Certificate) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = Begun {
            fetch: ready(Some(Arc::new(certificate))).boxed().shared(),
            at: Instant::now(),
        };
        begun.look();
        known.fetches.insert(url.to_string(), begun);
    }

    /// One that is at hand.
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

    /// The fetch of this URL, begun now if need be. `None` when that were one too many.
    fn fetch(&self, url: &Https, now: Timestamp) -> Option<Fetch> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let name = url.to_string();
        let begun = known.fetches.get(&name);
        if let Some(begun) = begun
            && (begun.is_of_use(now) || begun.at.elapsed() < REST)
        {
            return Some(begun.fetch.clone());
        }
        // A name that AWS has had is no stranger's.
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

    /// The oldest of those that brought nothing goes, and only without one the oldest certificate.
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
    /// Whether it has ended, also when nothing waits for it any more.
    fn look(&self) -> bool {
        self.fetch.clone().now_or_never().is_some()
    }

    /// What it brought, valid or not.
    fn certificate(&self) -> Option<&Arc<Certificate>> {
        self.fetch.peek()?.as_ref()
    }

    /// Under way, or it brought a certificate that is still valid.
    fn is_of_use(&self, now: Timestamp) -> bool {
        match self.fetch.peek() {
            None => true,
            Some(_) => self
                .certificate()
                .is_some_and(|certificate| certificate.is_valid(now)),
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
        warn!(%url, problem, "no certificate of SNS; messages that name it are answered 503");
        None
    });
    fetch.map(|ended| ended.ok().flatten()).boxed().shared()
}
