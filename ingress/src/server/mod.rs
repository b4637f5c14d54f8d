//! The public port: limits on the number of connections and on the time of each step, and a shutdown that cuts
//! off no request.
//!
//! ```text
//! accept ─▶ place ─▶ handshake ─▶ idle ─first byte─▶ headers ─▶ request ─▶ answer ─▶ idle …
//! ```
//! Each connection records its phase (`state`); one task checks all of them and ends those that exceed a limit
//! (`open`). So a request sets no timer and reads no clock.

mod connection;
mod io;
mod open;
mod request;
mod state;

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};
use tracing::{info, warn};

use self::{
    open::{Admission, Open, Place},
    state::Phase,
};
use crate::{
    client::{Client, Network},
    metrics::Metrics,
    tls::Tls,
};

/// Bounds what a connection holds before its request is known: headers included.
const READ_BUFFER_BYTES: usize = 16 * 1024;
/// The pause after a failed accept, as when no file descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Clone)]
pub(crate) struct ConnectionLimits {
    /// Of all clients together. At the limit the connection that has been idle longest is closed; new ones wait
    /// in the kernel's queue only while every connection serves a request.
    pub connections: usize,
    /// Of one address; trusted proxies have no such limit.
    pub per_peer: usize,
    /// For the TLS handshake, and from the first byte of a request to the end of its headers.
    pub header: Duration,
    /// Between two requests, and before the first.
    pub idle: Duration,
    /// How long a client may read nothing of what is written to it.
    pub write: Duration,
    /// After this time, or this many requests, a connection closes with its next answer.
    pub age: Duration,
    pub requests: u32,
    /// Trusted to name the client in their headers.
    pub trusted_proxies: Arc<[Network]>,
}

/// What every connection needs.
struct Port {
    /// `None`: plain HTTP.
    tls: Option<Arc<Tls>>,
    http: http1::Builder,
    router: Router,
    limits: ConnectionLimits,
    metrics: Metrics,
    open: Arc<Open>,
}

/// Serves until `stop`, then finishes the requests that have begun. From `draining` on each answer closes its
/// connection. All clones of `router` are dropped when this returns.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    limits: ConnectionLimits,
    metrics: Metrics,
    draining: CancellationToken,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    info!(listen = %listener.local_addr()?, tls = tls.is_some(), "serving webhooks");
    let connections = TaskTracker::new();
    let open = Open::new(limits.clone(), metrics.clone());
    let watch = AbortOnDropHandle::new(tokio::spawn(watch(Arc::clone(&open), draining)));
    let port = Arc::new(Port {
        tls,
        http: http(),
        router,
        limits,
        metrics,
        open,
    });
    while let Some((stream, place)) = stop.run_until_cancelled(accept(&listener, &port)).await {
        let port = Arc::clone(&port);
        connections.spawn(async move { port.connection(stream, place).await });
    }
    // From now on clients connect to another replica.
    drop(listener);
    port.open.close();
    connections.close();
    connections.wait().await;
    drop(watch);
    Ok(())
}

fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    // `Open::watch` does this: it tells an idle connection from slow headers.
    http.header_read_timeout(None)
        .max_buf_size(READ_BUFFER_BYTES)
        // A client may close its sending side behind its request (RFC 9112 §9.6) and is answered all the same. Without
        // this hyper reads ahead while a request waits, into a buffer that it allocates for each.
        .half_close(true)
        // An answer is short: to copy it behind its headers costs less than to write both by `writev`.
        .writev(false);
    http
}

async fn watch(open: Arc<Open>, draining: CancellationToken) {
    let drain = async {
        draining.cancelled().await;
        open.drain();
    };
    tokio::join!(drain, open.watch());
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, port: &Port) -> (TcpStream, Place) {
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let proxies = Arc::clone(&port.limits.trusted_proxies);
        let client = Arc::new(Client::new(address.ip(), proxies));
        if let Some(place) = place(port, &client).await {
            return (stream, place);
        }
    }
}

/// `None`: this client has too many already.
async fn place(port: &Port, client: &Arc<Client>) -> Option<Place> {
    let phase = match port.tls {
        Some(_) => Phase::Handshake,
        None => Phase::Idle,
    };
    loop {
        match port.open.admit(client, phase) {
            Admission::Admitted(place) => return Some(place),
            Admission::Full => port.open.room().await,
            Admission::Refused => return None,
        }
    }
}

#[cfg(test)]
mod tests;
