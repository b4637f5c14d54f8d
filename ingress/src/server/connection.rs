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
    io::Noted,
    open::Place,
    request::Shared,
    state::{Connection, Order, Phase},
};
use crate::tls::{ClientCertificate, Session, Tls};

/// What is read of a request before there is anything to read it with.
const FIRST_BYTES: usize = 1024;
/// How much a client may still send after its last answer, for the sake of that answer.
const LINGER_BYTES: usize = 8 * 1024 * 1024;
const LINGER: Duration = Duration::from_secs(10);
/// And how long it may be silent.
const LINGER_SILENCE: Duration = Duration::from_secs(1);

/// How a stretch of requests ended.
enum Left<S> {
    /// Idle for some time.
    Idle(Noted<S>),
    /// No request follows.
    Over(Noted<S>),
    Killed,
}

/// Cancelled when the certificates that let the client in no longer count.
struct Superseded(Option<Pin<Box<WaitForCancellationFutureOwned>>>);

impl Port {
    pub(super) async fn connection(self: Arc<Self>, stream: TcpStream, place: Place) {
        // Answers are small: without this they wait for the client's delayed ACK.
        stream.set_nodelay(true).ok();
        let connection = Arc::clone(&place.connection);
        match self.tls.clone() {
            None => self.requests(stream, connection, None, None).await,
            // What TLS needs would make room for itself in every plain connection.
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

    /// `None` when it failed, took too long, made room for another one, or the end came first.
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
            Err(None) => "others needed its place".to_owned(),
        };
        self.metrics.handshake_failures.inc();
        debug!(error = failure, "a TLS handshake failed");
        None
    }

    /// Every request of a connection carries its client and, if it showed one, its certificate.
    /// After `superseded`, as at the end, the request that has begun is the last one.
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
            connection: Arc::clone(&connection),
            certificate,
        });
        let mut superseded = Superseded::from(superseded);
        let mut io = Noted::new(stream, Arc::clone(&connection));
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
                // Boxed: an idle connection has no use for what it needs.
                Left::Over(back) => return Box::pin(linger(back, &connection)).await,
                Left::Killed => return,
            }
        }
    }
}

/// Waits without a buffer: an idle connection costs next to nothing. `None`: no request will come.
async fn first_bytes<S: AsyncRead + Unpin>(
    io: &mut Noted<S>,
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

/// Requests and answers, until the connection is idle for some time or ends.
async fn serve<S>(shared: &Arc<Shared>, io: Noted<S>, superseded: &mut Superseded) -> Left<S>
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
            // The beginning of a request, which came together with the one before it.
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

/// Waits until it is told to end.
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

/// Says goodbye and waits for nothing.
async fn close(mut io: impl AsyncWrite + Unpin) {
    poll_fn(|context| {
        let _said = Pin::new(&mut io).poll_shutdown(context);
        Poll::Ready(())
    })
    .await;
}

/// Reads on without keeping anything: a client that is still sending when the connection closes sees
/// it break, not the answer (RFC 9112 §9.6), and would send the same again. What is far too long is
/// not worth it.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut io: Noted<S>, connection: &Connection) {
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
