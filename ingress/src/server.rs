//! The public port: a limited number of connections, a limited time for headers, and an end that
//! cuts off no request.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};

use crate::metrics::{Counted, Metrics};

/// Bounds what a connection holds before its request is known: headers included.
const READ_BUFFER_BYTES: usize = 16 * 1024;
/// When there are no file descriptors left, waiting is all that helps.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// More wait in the kernel's queue.
    pub connections: usize,
    /// For the headers of a request; also how long an idle connection stays open.
    pub header_timeout: Duration,
}

/// Serves until `stop`, then finishes the requests that have begun. All clones of `router` are
/// dropped when this returns.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    metrics: Metrics,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    info!(listen = %listener.local_addr()?, "serving webhooks");
    let slots = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(READ_BUFFER_BYTES);
    loop {
        let (stream, slot) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let (http, router, stop) = (http.clone(), router.clone(), stop.clone());
        let open = Counted::up(&metrics.connections);
        connections.spawn(async move {
            connection(&http, stream, router, stop).await;
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

async fn connection(
    http: &http1::Builder,
    stream: TcpStream,
    router: Router,
    stop: CancellationToken,
) {
    // Answers are small: without this they wait for the client's delayed ACK.
    stream.set_nodelay(true).ok();
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests;
