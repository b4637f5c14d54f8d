use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

struct Running {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<anyhow::Result<()>>,
}

async fn start(router: Router, limits: Limits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(
        listener,
        None,
        router,
        limits,
        Metrics::default(),
        stop.clone(),
    ));
    Running {
        address,
        stop,
        server,
    }
}

fn limits(connections: usize, header_timeout: Duration) -> Limits {
    Limits {
        connections,
        header_timeout,
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

async fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn headers_that_do_not_end_end_the_connection() {
    let running = start(Router::new(), limits(9, Duration::from_millis(50))).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    // Without the limit this would wait for ever.
    let text = tokio::time::timeout(MINUTE, answer(stream)).await.unwrap();
    assert!(!text.contains(" 200 "), "{text}");
}

#[tokio::test]
async fn a_connection_above_the_limit_waits_for_its_turn() {
    let running = start(
        Router::new().route("/", get(|| async { "hello" })),
        limits(1, MINUTE),
    )
    .await;
    let first = TcpStream::connect(running.address).await.unwrap();
    let mut second = TcpStream::connect(running.address).await.unwrap();
    second.write_all(REQUEST).await.unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(100), second.read(&mut byte)).await;
    assert!(
        early.is_err(),
        "the second connection was served beside the first"
    );
    drop(first);
    let text = tokio::time::timeout(MINUTE, answer(second)).await.unwrap();
    assert!(text.ends_with("hello"), "{text}");
}

#[tokio::test]
async fn a_request_that_has_begun_is_finished_after_the_signal() {
    let (begun, go) = (CancellationToken::new(), CancellationToken::new());
    let (begins, goes) = (begun.clone(), go.clone());
    let slow = get(|| async move {
        begins.cancel();
        goes.cancelled().await;
        "finished"
    });
    let running = start(Router::new().route("/", slow), limits(9, MINUTE)).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    begun.cancelled().await;
    running.stop.cancel();
    assert!(!running.server.is_finished());
    go.cancel();
    assert!(answer(stream).await.ends_with("finished"));
    running.server.await.unwrap().unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}
