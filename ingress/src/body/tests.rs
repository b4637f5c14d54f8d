use axum::body::Body;
use futures::{StreamExt as _, stream};

use super::*;

fn budget(body: usize, total: usize) -> Budget {
    Budget::new(BodyLimits {
        body,
        total,
        unverified: total,
        time: Duration::from_secs(10),
    })
}

/// Of a source without a limit of its own.
async fn read(budget: &Budget, body: Body) -> Result<BufferedBody<'_>, Unread> {
    static UNLIMITED: Quota = Quota(AtomicUsize::new(usize::MAX));
    budget.read(body, &UNLIMITED, None).await
}

/// A body that does not say its length before it arrives.
fn chunks(chunks: Vec<&'static str>) -> Body {
    Body::from_stream(stream::iter(chunks).map(Ok::<_, std::io::Error>))
}

#[tokio::test]
async fn a_body_of_the_limit_passes_and_one_byte_more_does_not() {
    let budget = budget(6, 100);
    assert_eq!(
        read(&budget, chunks(vec!["abc", "def"]))
            .await
            .unwrap()
            .bytes,
        "abcdef"
    );
    let refused = read(&budget, chunks(vec!["abc", "defg"])).await.err();
    assert!(matches!(refused, Some(Unread::TooLarge)));
    let refused = read(&budget, Body::from("abcdefg")).await.err();
    assert!(matches!(refused, Some(Unread::TooLarge)));
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_kept() {
    let budget = budget(6, 8);
    let refused = read(&budget, chunks(vec!["abcd"; 10])).await.err();
    assert!(matches!(refused, Some(Unread::TooLarge)));
    assert_eq!(budget.free.left(), 8);
}

#[tokio::test]
async fn bodies_share_a_budget_and_give_it_back() {
    let budget = budget(6, 8);
    let first = read(&budget, chunks(vec!["abcdef"])).await.unwrap();
    let refused = read(&budget, chunks(vec!["abc"])).await.err();
    assert!(matches!(refused, Some(Unread::Overloaded)));
    drop(first);
    assert!(read(&budget, chunks(vec!["abc"])).await.is_ok());
    assert_eq!(budget.free.left(), 8);
}

#[tokio::test]
async fn a_source_that_has_filled_its_room_leaves_the_rest_to_the_others() {
    let (budget, one, other) = (budget(6, 12), Quota::of(8), Quota::of(8));
    let first = budget
        .read(chunks(vec!["abcdef"]), &one, None)
        .await
        .unwrap();
    let refused = budget
        .read(chunks(vec!["ab", "cd"]), &one, None)
        .await
        .err();
    assert!(matches!(refused, Some(Unread::Overloaded)));
    assert_eq!(budget.free.left(), 6);
    let second = budget
        .read(chunks(vec!["abc"]), &other, None)
        .await
        .unwrap();
    drop((first, second));
    assert_eq!((one.left(), budget.free.left()), (8, 12));
}

#[tokio::test]
async fn what_a_body_holds_when_it_is_unpacked_counts() {
    let (budget, quota) = (budget(6, 12), Quota::of(10));
    let mut one = budget
        .read(chunks(vec!["abc"]), &quota, None)
        .await
        .unwrap();
    one.permits.decompressed(6).unwrap();
    assert!(matches!(
        one.permits.decompressed(2),
        Err(Unread::Overloaded)
    ));
    let refused = budget.read(chunks(vec!["ab"]), &quota, None).await.err();
    assert!(matches!(refused, Some(Unread::Overloaded)));
    drop(one);
    assert!(
        budget
            .read(chunks(vec!["abcdef"]), &quota, None)
            .await
            .is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stalls_is_told_so_and_holds_nothing() {
    let budget = budget(6, 8);
    let start = stream::iter([Ok::<_, std::io::Error>("abc")]);
    let body = Body::from_stream(start.chain(stream::pending()));
    assert!(matches!(
        read(&budget, body).await.err(),
        Some(Unread::TooSlow)
    ));
    assert_eq!(budget.free.left(), 8);
}

#[tokio::test]
async fn a_client_that_goes_away_is_no_body() {
    let start = stream::iter([Ok("abc"), Err(std::io::Error::other("gone"))]);
    let refused = read(&budget(6, 8), Body::from_stream(start)).await.err();
    assert!(matches!(refused, Some(Unread::Broken)));
}

fn peer(address: &str) -> Peer {
    Peer::of(address.parse().unwrap())
}

/// With so much of it for those who are not verified. Tasks that read outlive a test's variables.
fn shared(total: usize, unverified: usize) -> &'static Budget {
    Box::leak(Box::new(Budget::new(BodyLimits {
        body: 6,
        total,
        unverified,
        time: Duration::from_secs(10),
    })))
}

/// A client that has sent so much and then stalls.
async fn stall(
    budget: &'static Budget,
    from: &str,
    bytes: &'static str,
) -> tokio::task::JoinHandle<Result<BufferedBody<'static>, Unread>> {
    let start = stream::iter([Ok::<_, std::io::Error>(bytes)]);
    let body = Body::from_stream(start.chain(stream::pending()));
    let reading = tokio::spawn(budget.read_unverified(body, peer(from), None));
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    reading
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unverified_bodies_takes_nothing_from_a_verified_one() {
    let budget = shared(24, 12);
    let mut flood = Vec::new();
    for number in 0..50 {
        let from = format!("192.0.2.{number}");
        flood.push(stall(budget, &from, "abcdef").await);
        tokio::task::yield_now().await;
    }
    assert!(budget.unverified.left() <= 12 && budget.free.left() >= 12);
    let quota = Quota::default();
    let first = budget
        .read(chunks(vec!["abc", "def"]), &quota, None)
        .await
        .unwrap();
    let second = budget
        .read(chunks(vec!["abc", "def"]), &quota, None)
        .await
        .unwrap();
    drop((first, second));
    for stalled in flood {
        stalled.abort();
        stalled.await.ok();
    }
    assert_eq!((budget.unverified.left(), budget.free.left()), (12, 24));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_unverified_body_gives_way_to_one_that_arrives() {
    let budget = shared(24, 12);
    let (oldest, newer) = (
        stall(budget, "192.0.2.1", "abcdef").await,
        stall(budget, "192.0.2.1", "abcdef").await,
    );
    // Behind the same balancer.
    let signed = budget.read_unverified(chunks(vec!["ab", "cd"]), peer("192.0.2.1"), None);
    let signed = signed.await.unwrap();
    assert_eq!(signed.bytes, "abcd");
    assert!(matches!(
        oldest.await.unwrap().err(),
        Some(Unread::Overloaded)
    ));
    assert!(!newer.is_finished());
    drop(signed);
    newer.abort();
    newer.await.ok();
    assert_eq!((budget.unverified.left(), budget.free.left()), (12, 24));
}

#[tokio::test(start_paused = true)]
async fn the_client_that_holds_most_gives_way_first() {
    let budget = shared(24, 12);
    let quiet = stall(budget, "192.0.2.1", "ab").await;
    let greedy = stall(budget, "192.0.2.2", "abcdef").await;
    let also_greedy = stall(budget, "192.0.2.2", "abcd").await;
    let new = stall(budget, "192.0.2.3", "abcd").await;
    assert!(matches!(
        greedy.await.unwrap().err(),
        Some(Unread::Overloaded)
    ));
    for kept in [quiet, also_greedy, new] {
        assert!(!kept.is_finished());
        kept.abort();
        kept.await.ok();
    }
    assert_eq!(budget.unverified.left(), 12);
}

#[tokio::test]
async fn what_is_verified_counts_as_its_sources_and_no_longer_as_a_strangers() {
    let (budget, quota) = (shared(24, 6), Quota::of(9));
    let mut arrived = Vec::new();
    for _ in 0..2 {
        let read = budget
            .read_unverified(chunks(vec!["ab", "cd"]), peer("192.0.2.1"), None)
            .await;
        let mut read = read.unwrap();
        assert_eq!(budget.unverified.left(), 2);
        read.permits.verified(&quota).unwrap();
        assert_eq!(budget.unverified.left(), 6);
        arrived.push(read);
    }
    assert_eq!((quota.left(), budget.free.left()), (1, 16));
    let read = budget
        .read_unverified(chunks(vec!["ab"]), peer("192.0.2.1"), None)
        .await;
    let mut read = read.unwrap();
    assert!(matches!(
        read.permits.verified(&quota),
        Err(Unread::Overloaded)
    ));
    drop((read, arrived));
    assert_eq!((quota.left(), budget.free.left()), (9, 24));
}

#[tokio::test]
async fn a_body_that_is_announced_as_too_large_is_not_read() {
    struct Announced;
    impl hyper::body::Body for Announced {
        type Data = Bytes;
        type Error = std::io::Error;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
            panic!("it was asked for")
        }
        fn size_hint(&self) -> hyper::body::SizeHint {
            hyper::body::SizeHint::with_exact(7)
        }
    }
    let refused = read(&budget(6, 100), Body::new(Announced)).await.err();
    assert!(matches!(refused, Some(Unread::TooLarge)));
}
