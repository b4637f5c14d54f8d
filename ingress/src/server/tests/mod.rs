//! Connections in memory under a clock that the tests move, and real ones where the system has a say.

mod bounds;
mod end;
mod tcp;
mod time;

use axum::{
    Router,
    routing::{get, post},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    time::Instant,
};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const ANSWER: &str = "hello";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// Of the kernel's buffers in these tests.
const PIPE_BYTES: usize = 4096;
/// How much later than it should something may be noticed.
const LATE: Duration = Duration::from_millis(1500);

/// As they are set by default.
fn limits() -> ConnectionLimits {
    crate::IngressConfig::default().connection_limits()
}

/// A port whose connections are made by the test.
struct Tested {
    port: Arc<Port>,
    draining: CancellationToken,
    _watch: AbortOnDropHandle<()>,
}

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { ANSWER }))
        .route("/work", get(|| async { tokio::time::sleep(HOUR).await }))
        .route("/body", post(|_: String| async { ANSWER }))
        .route(
            "/accept",
            post(|| async { (axum::http::StatusCode::ACCEPTED, ANSWER) }),
        )
}

impl Tested {
    fn new(limits: ConnectionLimits) -> Self {
        let metrics = Metrics::default();
        let open = Open::new(limits.clone(), metrics.clone());
        let draining = CancellationToken::new();
        let watch = watch(Arc::clone(&open), draining.clone());
        Self {
            port: Arc::new(Port {
                tls: None,
                http: http(),
                router: router(),
                limits,
                metrics,
                open,
            }),
            draining,
            _watch: AbortOnDropHandle::new(tokio::spawn(watch)),
        }
    }

    async fn connect(&self) -> DuplexStream {
        self.connect_from("192.0.2.1").await.unwrap()
    }

    /// `None`: there is no place for it.
    async fn connect_from(&self, peer: &str) -> Option<DuplexStream> {
        let proxies = Arc::clone(&self.port.limits.trusted_proxies);
        let client = Arc::new(Client::new(peer.parse().unwrap(), proxies));
        let place = place(&self.port, &client).await?;
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let (port, connection) = (Arc::clone(&self.port), Arc::clone(&place.connection));
        tokio::spawn(async move {
            port.requests(theirs, connection, None, None).await;
            drop(place);
        });
        Some(ours)
    }

    fn open(&self) -> i64 {
        self.port.metrics.connections.get()
    }
}

/// One answer with its headers, and nothing after it.
async fn ask(stream: &mut DuplexStream) -> String {
    ask_for(stream, REQUEST).await
}

async fn ask_for(stream: &mut DuplexStream, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    let mut text = String::new();
    while !text.ends_with(ANSWER) {
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "it ended after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    text
}

/// How long it takes until the connection ends; what is sent until then is of no interest.
async fn ends_after(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Duration {
    let start = Instant::now();
    stream.read_to_end(&mut Vec::new()).await.ok();
    start.elapsed()
}

fn is_about(time: Duration, expected: Duration) -> bool {
    time >= expected && time <= expected + LATE
}
