//! One request of a connection: its phases, and whether its answer closes the connection.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tower::Service as _;

use super::{
    Port, READ_BUFFER_BYTES,
    state::{Connection, Order, Phase},
};
use crate::{answer::Response, head::Caller};

/// What every request of a connection needs.
pub(super) struct Shared {
    pub(super) port: Arc<Port>,
    pub(super) connection: Arc<Connection>,
    pub(super) caller: Arc<Caller>,
}

impl Shared {
    /// No `async fn`: its future would hold the request beside that of the router.
    pub(super) fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response, Infallible>> {
        let (port, connection) = (&self.port, &self.connection);
        let phase = if request.body().is_end_stream() {
            Phase::Busy
        } else {
            Phase::Body
        };
        let requests = connection.begin(phase);
        let body = Announced::of(&request);
        let mut request = request.map(|body| {
            let connection = Arc::clone(connection);
            axum::body::Body::new(Arriving { body, connection })
        });
        let caller = Arc::clone(&self.caller);
        request.extensions_mut().insert(caller);
        // Always ready.
        let answer = port.router.clone().call(request);
        async move {
            let mut answer = answer.await?;
            let (port, connection) = (&self.port, &self.connection);
            let status = answer.status();
            if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
                connection.accepted();
            }
            if requests >= port.limits.requests
                || connection.older_than(port.limits.age)
                || connection.is_ordered(Order::Last)
                || port.open.is_draining()
                || body.is_left_unread(status)
            {
                says_last(answer.headers_mut());
            }
            connection.enter(Phase::Answered);
            Ok(answer)
        }
    }
}

/// A body that records its end: until then the connection waits for its client and may be closed for a new one.
struct Arriving {
    body: Incoming,
    connection: Arc<Connection>,
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.connection.advance(Phase::Body, Phase::Busy);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What the headers tell of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announced {
    Nothing,
    /// It fits the read buffer; most of these have arrived with the headers.
    Short,
    /// Or with `Expect: 100-continue` (RFC 9110 §10.1.1).
    Long,
}

impl Announced {
    fn of(request: &Request<Incoming>) -> Self {
        let (body, long) = (request.body(), READ_BUFFER_BYTES as u64);
        if body.is_end_stream() {
            Self::Nothing
        } else if request.headers().contains_key(header::EXPECT)
            || body.size_hint().upper().is_none_or(|length| length > long)
        {
            Self::Long
        } else {
            Self::Short
        }
    }

    /// Then hyper closes the connection after the answer, which has to say so: otherwise the client loses its
    /// next request.
    fn is_left_unread(self, status: StatusCode) -> bool {
        match self {
            Self::Nothing => false,
            // These are answered without reading the body.
            Self::Short => matches!(status.as_u16(), 401 | 403 | 404 | 405 | 413),
            Self::Long => status.is_client_error() || status.is_server_error(),
        }
    }
}

fn says_last(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
}
