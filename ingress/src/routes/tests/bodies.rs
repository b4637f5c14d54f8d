//! Bodies: how many there may be at once, and which are not read.

use super::*;

#[tokio::test]
async fn bodies_beyond_the_budget_are_to_be_sent_again() {
    let tested = ingress(None);
    let start = futures::StreamExt::chain(
        stream::iter([Ok::<_, std::io::Error>(" ".repeat(900))]),
        stream::pending(),
    );
    let slow = tokio::spawn(serve(tested.router.clone(), hook(Body::from_stream(start))));
    // The slow one has sent its part once the other no longer fits.
    let deadline = Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let (status, headers, _) = send(&tested, hook(" ".repeat(700))).await;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            assert!(headers.contains_key(header::RETRY_AFTER));
            break;
        }
        assert!(
            Instant::now() < deadline,
            "the budget was never used up: {status}"
        );
        tokio::task::yield_now().await;
    }
    slow.abort();
    slow.await.unwrap_err();
    assert_eq!(send(&tested, hook(GOOD)).await.0, StatusCode::ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_503() {
    let body = Body::from_stream(stream::pending::<Result<&str, std::io::Error>>());
    let (status, _, body) = send(&ingress(None), hook(body)).await;
    assert_eq!(
        (status.as_u16(), body["code"].as_str()),
        (503, Some("too_slow"))
    );
}

#[tokio::test]
async fn a_strangers_body_is_never_read() {
    let body = Body::from_stream(stream::poll_fn(
        |_| -> std::task::Poll<Option<Result<&str, std::io::Error>>> {
            panic!("the body was read")
        },
    ));
    let stranger = request(Method::POST, "/v1/hooks/prod", Some("Basic eDp5"), body);
    assert_eq!(
        send(&ingress(None), stranger).await.0,
        StatusCode::UNAUTHORIZED
    );
}
