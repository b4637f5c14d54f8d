//! The public port: a limited number of connections, a limited time for handshake and headers, and
//! an end that cuts off no request.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{Router, http::Request};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;
use tracing::{debug, info, warn};

use crate::{
    metrics::{Counted, Metrics},
    tls::{ClientCertificate, Session, Tls},
};

/// Bounds what a connection holds before its request is known: headers included.
const READ_BUFFER_BYTES: usize = 16 * 1024;
/// When there are no file descriptors left, waiting is all that helps.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// More wait in the kernel's queue.
    pub connections: usize,
    /// For the handshake, and for the headers of a request; also how long an idle connection stays
    /// open.
    pub header_timeout: Duration,
}

/// What every connection needs.
#[derive(Clone)]
struct Port {
    /// `None`: plain HTTP.
    tls: Option<Arc<Tls>>,
    http: http1::Builder,
    router: Router,
    limits: Limits,
    metrics: Metrics,
    stop: CancellationToken,
}

/// Serves until `stop`, then finishes the requests that have begun. All clones of `router` are
/// dropped when this returns.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    limits: Limits,
    metrics: Metrics,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    info!(listen = %listener.local_addr()?, tls = tls.is_some(), "serving webhooks");
    let slots = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(READ_BUFFER_BYTES);
    let port = Port {
        tls,
        http,
        router,
        limits,
        metrics,
        stop,
    };
    loop {
        let (stream, slot) = tokio::select! {
            biased;
            () = port.stop.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let (port, open) = (port.clone(), Counted::up(&port.metrics.connections));
        connections.spawn(async move {
            port.connection(stream).await;
            drop((open, slot));
        });
    }
    // Whoever connects from now on goes to another replica.
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}

/// A slot first: what cannot be served is not accepted.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        // OK because nothing closes this semaphore.
        .expect("slots stay open");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Port {
    async fn connection(self, stream: TcpStream) {
        // Answers are small: without this they wait for the client's delayed ACK.
        stream.set_nodelay(true).ok();
        let Some(tls) = &self.tls else {
            return self.requests(stream, None, CancellationToken::new()).await;
        };
        if let Some(session) = self.handshake(tls, stream).await {
            let Session {
                stream,
                certificate,
                superseded,
            } = session;
            self.requests(stream, certificate, superseded).await;
        }
    }

    /// `None` when it failed, took too long, or the end came first.
    async fn handshake(&self, tls: &Tls, stream: TcpStream) -> Option<Session> {
        let handshake = tokio::time::timeout(self.limits.header_timeout, tls.accept(stream));
        let failure = match self.stop.run_until_cancelled(handshake).await? {
            Ok(Ok(session)) => return Some(session),
            Ok(Err(error)) => error.to_string(),
            Err(elapsed) => elapsed.to_string(),
        };
        self.metrics.handshake_failures.inc();
        debug!(error = failure, "a TLS handshake failed");
        None
    }

    /// Every request of a connection carries its client's certificate. After `superseded`, as at
    /// the end, the request that has begun is the last one.
    async fn requests(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        certificate: Option<Arc<ClientCertificate>>,
        superseded: CancellationToken,
    ) {
        let service = self
            .router
            .map_request(move |mut request: Request<Incoming>| {
                if let Some(certificate) = &certificate {
                    request.extensions_mut().insert(Arc::clone(certificate));
                }
                request
            });
        let service = TowerToHyperService::new(service);
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(stream), service));
        let over = async {
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = superseded.cancelled() => {}
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = over => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(%error, "a connection ended early");
        }
    }
}

#[cfg(test)]
mod tests;
