//! One connection from its first byte to its last.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tracing::debug;

use super::{
    Port,
    io::Tracked,
    open::Place,
    request::Shared,
    state::{Connection, Order, Phase},
};
use crate::{
    head::Caller,
    tls::{ClientCertificate, Session, Tls},
};

/// How much of a request is read before hyper has a buffer for it.
const FIRST_BYTES: usize = 1024;
/// How many bytes are still read after the last answer, and for how long, so that the client can read it.
const LINGER_BYTES: usize = 8 * 1024 * 1024;
const LINGER: Duration = Duration::from_secs(10);
/// And how long the client may send nothing.
const LINGER_SILENCE: Duration = Duration::from_secs(1);

/// Why hyper returned the connection.
enum Left<S> {
    /// Idle for some time.
    Idle(Tracked<S>),
    /// No request follows.
    Over(Tracked<S>),
    Killed,
}

/// Resolves when the certificates that admitted the client have been replaced.
struct Superseded(Option<Pin<Box<WaitForCancellationFutureOwned>>>);

impl Port {
    pub(super) async fn connection(self: Arc<Self>, stream: TcpStream, place: Place) {
        // Answers are small: without this they wait for the client's delayed ACK.
        stream.set_nodelay(true).ok();
        let connection = Arc::clone(&place.connection);
        match self.tls.clone() {
            None => self.requests(stream, connection, None, None).await,
            // Boxed: plain connections should not reserve memory for TLS.
            Some(tls) => Box::pin(self.encrypted(tls, stream, connection)).await,
        }
        drop(place);
    }

    async fn encrypted(
        self: Arc<Self>,
        tls: Arc<Tls>,
        stream: TcpStream,
        connection: Arc<Connection>,
    ) {
        let Some(session) = self.handshake(&tls, stream, &connection).await else {
            return;
        };
        let Session {
            stream,
            certificate,
            superseded,
        } = session;
        self.requests(stream, connection, certificate, Some(superseded))
            .await;
    }

    /// `None` if it failed, took too long, or was ended for a new connection or by the shutdown.
    async fn handshake(
        &self,
        tls: &Tls,
        stream: TcpStream,
        connection: &Connection,
    ) -> Option<Session> {
        let handshake = timeout(self.limits.header, tls.accept(stream));
        let handshake = tokio::select! {
            ended = handshake => ended.map_err(Some),
            () = leaving(connection) => {
                if !connection.is_ordered(Order::Kill) {
                    return None;
                }
                Err(None)
            }
        };
        let failure = match handshake {
            Ok(Ok(session)) => return Some(session),
            Ok(Err(error)) => error.to_string(),
            Err(Some(elapsed)) => elapsed.to_string(),
            Err(None) => "ended for a new connection".to_owned(),
        };
        self.metrics.handshake_failures.inc();
        debug!(error = failure, "a TLS handshake failed");
        None
    }

    /// Serves requests. After `superseded`, as at the shutdown, the current request is the last one.
    pub(super) async fn requests(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        connection: Arc<Connection>,
        certificate: Option<Arc<ClientCertificate>>,
        superseded: Option<CancellationToken>,
    ) {
        connection.enter(Phase::Idle);
        let shared = Arc::new(Shared {
            port: self,
            caller: Arc::new(Caller {
                client: Arc::clone(&connection.client),
                certificate,
            }),
            connection: Arc::clone(&connection),
        });
        let mut superseded = Superseded::from(superseded);
        let mut io = Tracked::new(stream, Arc::clone(&connection));
        loop {
            connection.park(true);
            if io.has_unread() {
                connection.enter(Phase::Head);
            } else {
                let first = first_bytes(&mut io, &connection, &mut superseded).await;
                let Some(first) = first else {
                    return close(io).await;
                };
                io.unread(first);
            }
            connection.park(false);
            match serve(&shared, io, &mut superseded).await {
                Left::Idle(back) => io = back,
                // Boxed: idle connections should not reserve memory for it.
                Left::Over(back) => return Box::pin(linger(back, &connection)).await,
                Left::Killed => return,
            }
        }
    }
}

/// Waits without a buffer, so that an idle connection costs next to nothing. `None`: no request follows.
async fn first_bytes<S: AsyncRead + Unpin>(
    io: &mut Tracked<S>,
    connection: &Connection,
    superseded: &mut Superseded,
) -> Option<Bytes> {
    poll_fn(|context| {
        superseded.look(context, connection);
        connection.listen(context.waker());
        if connection.is_ordered(Order::Kill) {
            return Poll::Ready(None);
        }
        let mut space = [0; FIRST_BYTES];
        let mut buffer = ReadBuf::new(&mut space);
        let read = Pin::new(&mut *io).poll_read(context, &mut buffer);
        match read {
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                Poll::Ready(Some(Bytes::copy_from_slice(buffer.filled())))
            }
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending if connection.is_ordered(Order::Last) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Serves requests until the connection is idle for some time or ends.
async fn serve<S>(shared: &Arc<Shared>, io: Tracked<S>, superseded: &mut Superseded) -> Left<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = &shared.connection;
    let requests = Arc::clone(shared);
    let service = service_fn(move |request| Shared::answer(Arc::clone(&requests), request));
    // Boxed: it is large, and an idle connection has none.
    let mut http = Box::new(shared.port.http.serve_connection(TokioIo::new(io), service));
    let over = poll_fn(|context| {
        if let Poll::Ready(ended) = Pin::new(&mut *http).poll(context) {
            return Poll::Ready(Some(ended));
        }
        superseded.look(context, connection);
        connection.listen(context.waker());
        if connection.is_ordered(Order::Kill) {
            return Poll::Ready(None);
        }
        let stop = connection.is_ordered(Order::Park) || connection.is_ordered(Order::Last);
        if stop && connection.phase() == Phase::Idle {
            return Poll::Ready(None);
        }
        Poll::Pending
    })
    .await;
    if over.is_none() && connection.is_ordered(Order::Kill) {
        return Left::Killed;
    }
    let parts = http.into_parts();
    let mut io = parts.io.into_inner();
    match over {
        None => {
            // The beginning of the next request, read together with the previous one.
            io.unread(parts.read_buf);
            Left::Idle(io)
        }
        Some(ended) => {
            if let Err(error) = ended {
                debug!(%error, "a connection ended early");
            }
            Left::Over(io)
        }
    }
}

impl From<Option<CancellationToken>> for Superseded {
    fn from(token: Option<CancellationToken>) -> Self {
        Self(token.map(|token| Box::pin(token.cancelled_owned())))
    }
}

impl Superseded {
    fn look(&mut self, context: &mut Context<'_>, connection: &Connection) {
        if let Some(superseded) = &mut self.0
            && superseded.as_mut().poll(context).is_ready()
        {
            self.0 = None;
            connection.order(Order::Last);
        }
    }
}

/// Waits until the connection is ordered to end.
async fn leaving(connection: &Connection) {
    poll_fn(|context| {
        connection.listen(context.waker());
        if connection.is_leaving() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Shuts the stream down without waiting.
async fn close(mut io: impl AsyncWrite + Unpin) {
    poll_fn(|context| {
        let _said = Pin::new(&mut io).poll_shutdown(context);
        Poll::Ready(())
    })
    .await;
}

/// Reads and discards what the client still sends, within limits: a client that is sending when the connection
/// closes sees a reset instead of the answer (RFC 9112 §9.6), and would send the same again.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut io: Tracked<S>, connection: &Connection) {
    connection.enter(Phase::Closing);
    let rest = async {
        let mut left = LINGER_BYTES;
        let mut space = [0; FIRST_BYTES];
        if io.has_ended() || io.shutdown().await.is_err() {
            return;
        }
        while let Ok(Ok(count @ 1..)) = timeout(LINGER_SILENCE, io.read(&mut space)).await {
            match left.checked_sub(count) {
                Some(less) => left = less,
                None => return,
            }
        }
    };
    let killed = poll_fn(|context| {
        connection.listen(context.waker());
        if connection.is_ordered(Order::Kill) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    tokio::select! {
        _ = timeout(LINGER, rest) => {}
        () = killed => {}
    }
}
