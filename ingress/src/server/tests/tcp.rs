//! What the system's sockets have a say in.

use axum::{body::Body, http::StatusCode};

use super::*;
use crate::body::{BodyLimits, Budget, Quota, Unread};

const MINUTE: Duration = Duration::from_secs(60);
const LAST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

struct Running {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<anyhow::Result<()>>,
}

async fn start(router: Router, limits: ConnectionLimits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(
        listener,
        None,
        router,
        limits,
        Metrics::default(),
        CancellationToken::new(),
        stop.clone(),
    ));
    Running {
        address,
        stop,
        server,
    }
}

/// Answers a request once the second token is cancelled; cancels the first when it has begun.
fn slow() -> (Router, [CancellationToken; 2]) {
    let tokens = [CancellationToken::new(), CancellationToken::new()];
    let [begun, go] = tokens.clone();
    let slow = get(|| async move {
        begun.cancel();
        go.cancelled().await;
        ANSWER
    });
    (Router::new().route("/", slow), tokens)
}

async fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_head_request_gets_the_head_alone() {
    let running = start(router(), limits()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let head = b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let text = answer(stream).await;
    let length = format!("content-length: {}\r\n", ANSWER.len());
    assert!(
        text.contains(&length) && text.ends_with("\r\n\r\n"),
        "{text}"
    );
}

#[tokio::test]
async fn headers_that_do_not_end_end_the_connection() {
    let limits = ConnectionLimits {
        header: Duration::from_millis(50),
        ..limits()
    };
    let running = start(Router::new(), limits).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    // Without the limit this would wait for ever.
    let mut text = Vec::new();
    let ended = tokio::time::timeout(MINUTE, stream.read_to_end(&mut text)).await;
    assert!(ended.is_ok() && !text.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_connection_above_the_limit_waits_while_a_request_is_worked_on() {
    let (begun, go) = (CancellationToken::new(), CancellationToken::new());
    let (begins, goes) = (begun.clone(), go.clone());
    let slow = get(|| async move {
        begins.cancel();
        goes.cancelled().await;
    });
    let router = router().route("/slow", slow);
    let limits = ConnectionLimits {
        connections: 1,
        ..limits()
    };
    let running = start(router, limits).await;
    let mut first = TcpStream::connect(running.address).await.unwrap();
    let request = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
    first.write_all(request).await.unwrap();
    begun.cancelled().await;
    let mut second = TcpStream::connect(running.address).await.unwrap();
    second.write_all(LAST).await.unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(100), second.read(&mut byte)).await;
    assert!(
        early.is_err(),
        "the second connection was served beside the first"
    );
    go.cancel();
    let text = tokio::time::timeout(MINUTE, answer(second)).await.unwrap();
    assert!(text.ends_with(ANSWER), "{text}");
}

#[tokio::test]
async fn a_request_that_has_begun_is_finished_after_the_signal() {
    let (slow, [begun, go]) = slow();
    let running = start(slow, limits()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(LAST).await.unwrap();
    begun.cancelled().await;
    running.stop.cancel();
    assert!(!running.server.is_finished());
    go.cancel();
    assert!(answer(stream).await.ends_with(ANSWER));
    running.server.await.unwrap().unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn a_client_that_has_sent_its_request_may_close_its_sending_side() {
    let (slow, [begun, go]) = slow();
    let running = start(slow, limits()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    begun.cancelled().await;
    stream.shutdown().await.unwrap();
    // The ingress has seen it by now, if it looks.
    tokio::time::sleep(Duration::from_millis(100)).await;
    go.cancel();
    assert!(answer(stream).await.ends_with(ANSWER));
}

#[tokio::test]
async fn what_is_too_large_is_read_to_its_end_and_not_kept() {
    let read = post(async |body: Body| {
        let budget = Budget::new(BodyLimits {
            body: 1000,
            total: 1000,
            unverified: 1000,
            time: MINUTE,
        });
        let refused = budget.read(body, &Quota::default(), None).await.err();
        assert_eq!(refused, Some(Unread::TooLarge));
        (StatusCode::PAYLOAD_TOO_LARGE, ANSWER)
    });
    let running = start(Router::new().route("/read", read), limits()).await;
    // With and without the length in the headers; refused by the path alone, and for the body.
    for (path, length, status) in [
        ("/unknown", "Content-Length: 4000000", "404 "),
        ("/unknown", "Transfer-Encoding: chunked", "404 "),
        ("/read", "Content-Length: 4000000", "413 "),
        ("/read", "Transfer-Encoding: chunked", "413 "),
    ] {
        let stream = TcpStream::connect(running.address).await.unwrap();
        let (mut from, mut to) = stream.into_split();
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\n{length}\r\n\r\n");
        let sending = tokio::spawn(async move {
            to.write_all(head.as_bytes()).await.unwrap();
            if head.contains("chunked") {
                to.write_all(b"3D0900\r\n").await.unwrap();
            }
            for _ in 0..4_000 {
                to.write_all(&[b'x'; 1000]).await.unwrap();
            }
        });
        let mut text = String::new();
        let read = tokio::time::timeout(MINUTE, from.read_to_string(&mut text)).await;
        read.unwrap().unwrap();
        sending.await.unwrap();
        let status = format!("HTTP/1.1 {status}");
        assert!(text.starts_with(&status), "{text}");
        assert!(text.contains("connection: close"), "{text}");
    }
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed_or_kept_as_it_asks() {
    let running = start(router(), limits()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let text = tokio::time::timeout(MINUTE, answer(stream)).await.unwrap();
    assert!(
        text.starts_with("HTTP/1.0 200 ") && text.ends_with(ANSWER),
        "{text}"
    );

    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let kept = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    stream.write_all(kept).await.unwrap();
    let mut buffer = [0; 1024];
    let count = stream.read(&mut buffer).await.unwrap();
    assert!(buffer[..count].starts_with(b"HTTP/1.0 200 "));
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let text = tokio::time::timeout(MINUTE, answer(stream)).await.unwrap();
    assert!(text.contains(" 200 "), "{text}");
}
