//! `POST /v1/hooks/{source}`: one request, read downwards.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, Request, StatusCode, request},
    response::{IntoResponse, Response},
    routing::post,
};
use eso_relay::{Event, Slug, trace::TraceParent};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::{
    body::Budget,
    client::{Client, Peer},
    error::{Error, json},
    handshake,
    metrics::{Counted, Metrics},
    outgoing::Outgoing,
    preflight,
    publish::{PublishError, Publisher},
    refusals::{self, Refusals},
    source::{Content, DecodeError, Delivery, Irrelevant, Source},
    verify,
};

/// Where events go. The stream, or in tests a list.
pub trait Publish: Clone + Send + Sync + 'static {
    /// Returns when every event is durable.
    fn publish(&self, events: &[Event]) -> impl Future<Output = Result<(), PublishError>> + Send;
}

impl Publish for Publisher {
    fn publish(&self, events: &[Event]) -> impl Future<Output = Result<(), PublishError>> + Send {
        Self::publish(self, events)
    }
}

/// What every request needs.
#[derive(Clone)]
pub struct Ingress<P> {
    pub sources: Arc<BTreeMap<Slug, Source>>,
    /// The seed's `/webhook`, if it is on.
    pub webhook: Option<Arc<Source>>,
    pub publisher: P,
    pub budget: Budget,
    pub outgoing: Outgoing,
    pub metrics: Metrics,
    pub refusals: Refusals,
}

/// What came of a request.
enum Received {
    /// The ids of the events; they are durable.
    Events(Vec<String>),
    /// The answer to a handshake.
    Handshake(Response),
}

/// Why a request brought nothing.
struct Failure {
    error: Error,
    /// Its sender has not proved itself: it can cost no event, and its lines in the log are counted.
    of_stranger: bool,
}

/// The answer to a request whose events are durable.
#[derive(Serialize)]
struct Accepted {
    accepted: Vec<String>,
}

pub fn router<P: Publish>(ingress: Ingress<P>) -> Router {
    let mut router = Router::new().route(
        "/v1/hooks/{source}",
        post(hook::<P>).options(preflight::<P>),
    );
    if ingress.webhook.is_some() {
        router = router.route("/webhook", post(webhook::<P>));
    }
    router
        .method_not_allowed_fallback(method_not_allowed::<P>)
        .fallback(not_found::<P>)
        .with_state(ingress)
}

/// Not UTF-8 is as unknown as any other unknown name.
type Name = Result<Path<String>, PathRejection>;

async fn hook<P: Publish>(
    State(ingress): State<Ingress<P>>,
    name: Name,
    request: Request<Body>,
) -> Response {
    match ingress.source(name) {
        Some(source) => ingress.answer(source, request).await,
        None => ingress.refuse(Error::NotFound, request),
    }
}

/// Whether a sender may send, which some ask first: [`crate::preflight`].
async fn preflight<P: Publish>(
    State(ingress): State<Ingress<P>>,
    name: Name,
    request: Request<Body>,
) -> Response {
    match ingress.source(name) {
        Some(source) => {
            let (head, _) = request.into_parts();
            ingress.answer_preflight(source, &head).await
        }
        None => ingress.refuse(Error::NotFound, request),
    }
}

async fn webhook<P: Publish>(
    State(ingress): State<Ingress<P>>,
    request: Request<Body>,
) -> Response {
    match &ingress.webhook {
        Some(source) => ingress.answer(source, request).await,
        None => ingress.refuse(Error::NotFound, request),
    }
}

async fn not_found<P: Publish>(
    State(ingress): State<Ingress<P>>,
    request: Request<Body>,
) -> Response {
    ingress.refuse(Error::NotFound, request)
}

async fn method_not_allowed<P: Publish>(
    State(ingress): State<Ingress<P>>,
    request: Request<Body>,
) -> Response {
    ingress.refuse(Error::Method, request)
}

impl<P: Publish> Ingress<P> {
    fn source(&self, name: Name) -> Option<&Source> {
        let Path(name) = name.ok()?;
        self.sources.get(&name.parse::<Slug>().ok()?)
    }

    async fn answer_preflight(&self, source: &Source, head: &request::Parts) -> Response {
        match preflight::permission(source, head, now()).await {
            Ok(permission) => {
                self.metrics.answered(Some(&source.name), "handshake");
                info!(source = %source.name, "the sender may send");
                permission
            }
            Err(error) => {
                self.metrics.answered(Some(&source.name), error.code());
                let trace = traceparent(&head.headers).trace_id();
                self.report(source, &trace, head, &Failure::stranger(error.clone()));
                error.into_response()
            }
        }
    }

    async fn answer(&self, source: &Source, request: Request<Body>) -> Response {
        let _in_flight = Counted::up(&self.metrics.in_flight);
        let started = Instant::now();
        let (head, body) = request.into_parts();
        let traceparent = traceparent(&head.headers);
        let trace = traceparent.trace_id();
        match self.receive(source, &head, body, traceparent).await {
            Ok(Received::Events(accepted)) => {
                self.metrics
                    .accepted(&source.name, accepted.len(), started.elapsed());
                info!(source = %source.name, trace, events = accepted.len(), "accepted");
                json(StatusCode::ACCEPTED, &Accepted { accepted })
            }
            Ok(Received::Handshake(answer)) => {
                self.metrics.answered(Some(&source.name), "handshake");
                answer
            }
            Err(failure) => {
                let error = &failure.error;
                self.metrics.answered(Some(&source.name), error.code());
                if source.fail_open && !failure.of_stranger && !stays(error) {
                    return self.fail_open(source, &trace, error);
                }
                self.report(source, &trace, &head, &failure);
                failure.error.into_response()
            }
        }
    }

    /// The answer to a sender that stops working unless it is told 2xx. Never 202, which means that
    /// the events are durable: these are lost, and counted.
    fn fail_open(&self, source: &Source, trace: &str, error: &Error) -> Response {
        let (name, code) = (&source.name, error.code());
        if let Error::Decode(_) = error {
            self.metrics.ignored(name, [Irrelevant::Undecodable]);
        }
        self.metrics.lost(name);
        warn!(source = %name, trace, code, %error, "lost, because this source fails open");
        StatusCode::NO_CONTENT.into_response()
    }

    /// Headers → body → verified bytes → decoded → events → stream.
    async fn receive(
        &self,
        source: &Source,
        head: &request::Parts,
        body: Body,
        traceparent: TraceParent,
    ) -> Result<Received, Failure> {
        let refused = |refused| Failure::stranger(Error::refused(&source.scheme, refused));
        let received_at = now();
        let presented = verify::Request::of(head, received_at);
        let admitted = source.scheme.admit(&presented).await.map_err(refused)?;
        let room = &source.limits.room;
        let mut arrived = if admitted.is_verified() {
            self.budget.read(body, room).await?
        } else {
            let peer = Client::of(head).map(Peer::of);
            let read = self.budget.read_unverified(body, peer).await;
            read.map_err(Failure::stranger)?
        };
        let verified = admitted.verify(arrived.bytes).await.map_err(refused)?;
        arrived.share.verified(room)?;
        let verified = verified.decoded(&head.headers, self.budget.largest_body());
        let verified = verified.map_err(Error::from)?;
        // Not before: a stranger uses up nothing of it.
        if !source.limits.pass(Instant::now()) {
            return Err(Error::RateLimited.into());
        }
        let delivery = Delivery {
            headers: &head.headers,
            received_at,
            traceparent,
        };
        let (events, ignored) = match source.decode(&verified, &delivery)? {
            Content::Events {
                events,
                ignored,
                malformed,
            } => {
                self.malformed(source, &traceparent.trace_id(), &malformed);
                (events, ignored)
            }
            Content::Handshake(handshake) => {
                let answer = handshake::answer(&source.name, handshake, &self.outgoing);
                return Ok(Received::Handshake(answer.await?));
            }
        };
        drop(verified);
        let reasons = ignored.iter().map(|(_, reason)| *reason);
        self.metrics.ignored(&source.name, reasons);
        if events.is_empty() && !ignored.is_empty() {
            return Err(Error::Irrelevant.into());
        }
        if !events.is_empty() {
            self.publisher.publish(&events).await?;
        }
        drop(arrived.share);
        let ids = events.into_iter().map(|event| event.id);
        Ok(Received::Events(ids.collect()))
    }

    /// Counts and names the elements that could not be read, beside others that could.
    fn malformed(&self, source: &Source, trace: &str, malformed: &[(usize, String)]) {
        let Some((_, first)) = malformed.first() else {
            return;
        };
        let reasons = malformed.iter().map(|_| Irrelevant::Malformed);
        self.metrics.ignored(&source.name, reasons);
        let elements = malformed.len();
        warn!(source = %source.name, trace, elements, first, "elements left out that cannot be read");
    }

    /// Where there is no source: whoever sent it is a stranger.
    fn refuse(&self, error: Error, request: Request<Body>) -> Response {
        self.metrics.answered(None, error.code());
        let (head, _) = request.into_parts();
        self.refusals.say(None, None, error.code(), &head);
        error.into_response()
    }

    /// Faults of ours are warnings; faults of a sender that proved itself are worth a line; neither a
    /// stranger nor a source beyond its rate can fill the log.
    fn report(&self, source: &Source, trace: &str, head: &request::Parts, failure: &Failure) {
        let (error, name) = (&failure.error, &source.name);
        let code = error.code();
        if failure.of_stranger || matches!(error, Error::RateLimited) {
            return self.refusals.say(Some(name), Some(trace), code, head);
        }
        let client = refusals::client(head);
        if error.status().is_server_error() {
            warn!(source = %name, trace, code, client, "not accepted");
        } else {
            info!(source = %name, trace, code, client, %error, "nothing accepted");
        }
    }
}

impl Failure {
    fn stranger(error: Error) -> Self {
        Self {
            error,
            of_stranger: true,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            of_stranger: false,
        }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Error::from(error).into()
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        Error::from(error).into()
    }
}

/// The sender's trace, or a new one.
fn traceparent(headers: &HeaderMap) -> TraceParent {
    headers
        .get("traceparent")
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or_else(TraceParent::random)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the handler is where the time of arrival is known"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

/// Whether a source that fails open answers it like any other: nobody unknown is told 2xx, and what
/// is irrelevant is not lost.
fn stays(error: &Error) -> bool {
    matches!(
        error,
        Error::Unauthorized(_) | Error::Unverifiable | Error::Irrelevant
    )
}

#[cfg(test)]
mod tests;
