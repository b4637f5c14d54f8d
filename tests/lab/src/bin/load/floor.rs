//! What an ingress is measured against: axum handlers that do less, each in a process of its own.

use std::{process::Command, sync::Arc, time::Duration};

use async_nats::jetstream::{self, Context};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode},
    routing::post,
    serve::ListenerExt as _,
};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use eso_relay::stream::{Limits, Stream};
use eso_relay_lab::{installation::HMAC_SECRET, port, process::Process};
use ring::hmac;
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, oneshot},
};

/// As the ingress publishes by default.
const IN_FLIGHT: usize = 4;
const MESSAGE_BYTES: usize = 256 * 1024;
const AT_ONCE: usize = 4096;

/// The stream of the floors.
pub(crate) const RAW: &str = "RAW";
pub(crate) const RAW_SUBJECT: &str = "raw";

/// Beside the stream of the events, with the same configuration.
pub(crate) async fn create_raw_stream(jetstream: &Context) -> anyhow::Result<()> {
    let config = jetstream::stream::Config {
        name: RAW.to_owned(),
        subjects: vec![RAW_SUBJECT.to_owned()],
        ..Stream::Events.config(&Limits::default())
    };
    jetstream.create_stream(config).await?;
    Ok(())
}

/// A floor that runs, in a process of its own.
pub(crate) struct Floor {
    port: u16,
    process: Process,
    _dir: TempDir,
}

impl Floor {
    /// A handler that reads the body and answers 202.
    pub(crate) async fn bare() -> anyhow::Result<Self> {
        Self::start("bare-handler", &[]).await
    }

    /// A handler that checks an HMAC over the body and answers 202 when the body is stored in the
    /// stream [`RAW`], which must exist.
    pub(crate) async fn durable(nats: &str) -> anyhow::Result<Self> {
        Self::start("durable-handler", &[nats]).await
    }

    async fn start(child: &str, more: &[&str]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let port = port::free()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(child).arg(port.to_string()).args(more);
        let mut process = Process::spawn(child, command, &dir.path().join("log"))?;
        let answers = || TcpStream::connect(("127.0.0.1", port));
        process
            .wait_until("life", Duration::from_secs(30), answers)
            .await?;
        Ok(Self {
            port,
            process,
            _dir: dir,
        })
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

pub(crate) async fn bare_handler(port: u16) -> anyhow::Result<()> {
    let handler = post(async |_body: Bytes| StatusCode::ACCEPTED);
    serve(port, Router::new().route("/v1/hooks/{source}", handler)).await
}

pub(crate) async fn durable_handler(port: u16, nats: &str) -> anyhow::Result<()> {
    let jetstream = jetstream::new(async_nats::connect(nats).await?);
    let (queue, waiting) = mpsc::unbounded_channel();
    tokio::spawn(commit(jetstream, waiting));
    let durable = Durable {
        key: hmac::Key::new(hmac::HMAC_SHA256, HMAC_SECRET.as_bytes()),
        queue,
    };
    let router = Router::new()
        .route("/v1/hooks/{source}", post(store))
        .with_state(Arc::new(durable));
    serve(port, router).await
}

async fn serve(port: u16, router: Router) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    // As the ingress does; an error would show in the figures.
    let listener = listener.tap_io(|stream| {
        stream.set_nodelay(true).ok();
    });
    axum::serve(listener, router).await?;
    Ok(())
}

struct Durable {
    key: hmac::Key,
    queue: mpsc::UnboundedSender<Waiting>,
}

/// A body to store, and who waits for that.
struct Waiting {
    body: Bytes,
    stored: oneshot::Sender<()>,
}

async fn store(
    State(durable): State<Arc<Durable>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, StatusCode> {
    let signature = headers.get("x-signature").map(HeaderValue::as_bytes);
    let digits = signature.and_then(|it| it.strip_prefix(b"sha256="));
    let signature = HEXLOWER.decode(digits.unwrap_or_default());
    let signature = signature.map_err(|_| StatusCode::UNAUTHORIZED)?;
    hmac::verify(&durable.key, &body, &signature).map_err(|_| StatusCode::UNAUTHORIZED)?;
    let (stored, answer) = oneshot::channel();
    durable.queue.send(Waiting { body, stored }).ok();
    answer.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(StatusCode::ACCEPTED)
}

/// Group commit: one message holds the bodies that have gathered since the last one, a body a line.
async fn commit(jetstream: Context, mut queue: mpsc::UnboundedReceiver<Waiting>) {
    let in_flight = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut waiting = Vec::new();
    while let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await {
        if waiting.is_empty() && queue.recv_many(&mut waiting, AT_ONCE).await == 0 {
            return;
        }
        // Requests that are ready join this message, as in the ingress.
        tokio::task::yield_now().await;
        while !queue.is_empty() {
            queue.recv_many(&mut waiting, AT_ONCE).await;
        }
        let mut message = Vec::with_capacity(32 * 1024);
        let mut count = 0;
        for Waiting { body, .. } in &waiting {
            if count > 0 && message.len() + body.len() > MESSAGE_BYTES {
                break;
            }
            message.extend_from_slice(body);
            message.push(b'\n');
            count += 1;
        }
        let stored: Vec<_> = waiting.drain(..count).map(|it| it.stored).collect();
        let jetstream = jetstream.clone();
        tokio::spawn(async move {
            let sent = jetstream.publish(RAW_SUBJECT, message.into()).await;
            // Without an ack the requests are dropped, and their senders see a 503.
            if let Ok(ack) = sent
                && ack.await.is_ok()
            {
                for stored in stored {
                    stored.send(()).ok();
                }
            }
            drop(permit);
        });
    }
}
