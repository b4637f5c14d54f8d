//! On a paused clock, with answers that the test gives.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use futures::future::join_all;
use tokio::time::{advance, sleep};

use super::*;
use crate::verify::jwt::fixture::{Signer, jwks};

const MINUTE: Duration = Duration::from_secs(60);

struct Stage {
    issuer: Arc<Issuer>,
    fetches: Arc<AtomicUsize>,
    answer: Arc<Mutex<Result<Bytes, Unreachable>>>,
}

impl Stage {
    /// An answer takes this long.
    fn new(latency: Duration) -> Self {
        let fetches = Arc::new(AtomicUsize::new(0));
        let answer = Arc::new(Mutex::new(Ok(published("first"))));
        let (count, shared) = (Arc::clone(&fetches), Arc::clone(&answer));
        let issuer = Issuer::with("https://issuer.example/keys".to_owned(), move || {
            count.fetch_add(1, Ordering::SeqCst);
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                sleep(latency).await;
                shared.lock().unwrap().clone()
            })
        });
        Self {
            issuer: Arc::new(issuer),
            fetches,
            answer,
        }
    }

    fn publishes(&self, answer: Result<Bytes, Unreachable>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// A look once a second, as the daemon has it.
    async fn pass(&self, time: Duration) -> Vec<News> {
        let mut news = Vec::new();
        for _ in 0..time.as_secs() {
            news.extend(self.issuer.refresh());
            sleep(Duration::from_secs(1)).await;
        }
        news.extend(self.issuer.refresh());
        news
    }
}

fn published(kid: &str) -> Bytes {
    jwks([Signer::rsa().jwk(kid)]).into()
}

fn away() -> Unreachable {
    Unreachable::Away("Connection refused".to_owned())
}

fn is(keys: Option<Arc<Keys>>, kid: &str) -> bool {
    let expected = Keys::parse(&published(kid)).unwrap();
    keys.is_some_and(|keys| *keys == expected)
}

#[tokio::test(start_paused = true)]
async fn a_hundred_requests_at_once_are_one_fetch() {
    let stage = Stage::new(Duration::from_secs(2));
    let all = join_all((0..100).map(|_| stage.issuer.newer())).await;
    assert!(all.into_iter().all(|keys| is(keys, "first")));
    assert_eq!(stage.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_goes_away_takes_nothing_from_the_others() {
    let stage = Stage::new(Duration::from_secs(2));
    let impatient = timeout(Duration::from_secs(1), stage.issuer.newer()).await;
    assert!(impatient.is_err());
    assert!(is(stage.issuer.newer().await, "first"));
    assert_eq!(stage.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn unknown_kids_cause_one_fetch_in_half_a_minute() {
    let stage = Stage::new(Duration::ZERO);
    for _ in 0..29 {
        assert!(is(stage.issuer.newer().await, "first"));
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!(stage.fetches(), 1);
    advance(Duration::from_secs(1)).await;
    stage.publishes(Ok(published("second")));
    assert!(is(stage.issuer.newer().await, "second"));
    assert_eq!(stage.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_five_seconds_at_most() {
    let stage = Stage::new(Duration::from_secs(3600));
    let begin = Instant::now();
    assert!(stage.issuer.newer().await.is_none());
    assert_eq!(begin.elapsed(), TIMEOUT);
    assert_eq!(stage.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn keys_are_there_before_the_first_request_and_never_an_hour_old() {
    let stage = Stage::new(Duration::from_secs(1));
    let news = stage.pass(MINUTE).await;
    assert_eq!(
        news,
        [News::Keys {
            origin: "https://issuer.example/keys".to_owned(),
            count: 1
        }]
    );
    assert!(is(stage.issuer.known(), "first"));
    stage.pass(40 * MINUTE).await;
    assert_eq!(stage.fetches(), 1);
    stage.publishes(Ok(published("second")));
    let news = stage.pass(10 * MINUTE).await;
    assert!(matches!(news[..], [News::Keys { .. }]), "{news:?}");
    assert_eq!(stage.fetches(), 2);
    assert!(is(stage.issuer.known(), "second"));
    // The same keys again are no news.
    assert_eq!(stage.pass(50 * MINUTE).await, []);
    assert_eq!(stage.fetches(), 3);
}

#[tokio::test(start_paused = true)]
async fn without_the_daemons_looks_a_request_renews_aging_keys() {
    let stage = Stage::new(Duration::ZERO);
    stage.issuer.newer().await.unwrap();
    advance(AGING).await;
    stage.publishes(Ok(published("second")));
    assert!(is(stage.issuer.known(), "first"), "it has waited");
    assert!(is(stage.issuer.newer().await, "second"));
    assert_eq!(stage.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_was_never_there_is_asked_again_until_it_is() {
    let stage = Stage::new(Duration::ZERO);
    stage.publishes(Err(away()));
    let news = stage.pass(10 * MINUTE).await;
    let [News::Failure { reason, .. }] = &news[..] else {
        panic!("said once, not {news:?}");
    };
    assert!(reason.contains("Connection refused"), "{reason}");
    assert!(stage.issuer.known().is_none());
    assert!(stage.issuer.newer().await.is_none());
    assert_eq!(stage.fetches(), 21);
    stage.publishes(Ok(published("first")));
    let news = stage.pass(MINUTE).await;
    assert!(matches!(news[..], [News::Keys { .. }]), "{news:?}");
    assert!(is(stage.issuer.known(), "first"));
}

#[tokio::test(start_paused = true)]
async fn keys_outlive_an_outage_of_the_issuer_for_a_day() {
    let stage = Stage::new(Duration::ZERO);
    stage.pass(MINUTE).await;
    // A sign-in page is no better than no answer.
    stage.publishes(Ok(Bytes::from_static(b"<html>Sign in</html>")));
    let news = stage.pass(23 * 60 * MINUTE).await;
    assert!(matches!(news[..], [News::Failure { .. }]), "{news:?}");
    assert!(is(stage.issuer.known(), "first"));
    // Whether a newer key exists cannot be told.
    assert!(stage.issuer.newer().await.is_none());
    stage.publishes(Err(away()));
    assert_eq!(stage.pass(60 * MINUTE).await, []);
    assert!(stage.issuer.known().is_none());
    stage.publishes(Ok(published("first")));
    let news = stage.pass(MINUTE).await;
    assert!(matches!(news[..], [News::Keys { .. }]), "{news:?}");
    assert!(is(stage.issuer.known(), "first"));
}
