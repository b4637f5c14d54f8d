//! `POST /v1/hooks/{source}`: one request, from its headers to its answer.
//!
//! A path with empty segments is normalised only if it matches no route, so that other requests pay nothing for
//! it.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, HeaderValue, Request, StatusCode, header, request},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use eso_relay::{Event, Slug, traceparent::TraceParent};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::{debug, info, warn};

use crate::{
    body::Budget,
    client::{Client, Peer},
    error::{Error, Failure, json},
    handshake,
    metrics::{Counted, Metrics},
    outgoing::Outgoing,
    paths::{HOOKS, Paths, WEBHOOK, tidy_uri},
    preflight,
    publish::{PublishError, Publisher},
    refusals::Refusals,
    source::{Content, Delivery, Irrelevant, Source},
    verify,
};

/// The destination of events: the stream, or in tests a list.
pub(crate) trait Publish: Clone + Send + Sync + 'static {
    /// Returns when every event is durable, or why not: at the moment `by` at the latest.
    fn publish(
        &self,
        events: &[Event],
        by: Option<Instant>,
    ) -> impl Future<Output = Result<(), PublishError>> + Send;
}

impl Publish for Publisher {
    fn publish(
        &self,
        events: &[Event],
        by: Option<Instant>,
    ) -> impl Future<Output = Result<(), PublishError>> + Send {
        Self::publish(self, events, by)
    }
}

/// What every request needs.
pub(crate) struct Ingress<P> {
    pub sources: Arc<BTreeMap<Slug, Source>>,
    /// The source of `POST /webhook`, if it is configured.
    pub akeyless_trigger: Option<Arc<Source>>,
    pub publisher: P,
    pub budget: Budget,
    pub outgoing: Outgoing,
    pub metrics: Metrics,
    pub refusals: Refusals,
}

/// The same for all requests: none has a copy of its own.
type Common<P> = State<Arc<Ingress<P>>>;

/// The result of a request.
enum Outcome {
    /// The ids of the events; they are durable.
    Events(Vec<String>),
    /// The answer to a handshake.
    Handshake(Response),
}

/// The answer to a request whose events are durable.
#[derive(Serialize)]
struct Accepted {
    accepted: Vec<String>,
}

/// `stopping`: from then on the health check fails, while the port still serves.
pub(crate) fn router<P: Publish>(
    ingress: Ingress<P>,
    paths: &Paths,
    stopping: &CancellationToken,
) -> Router {
    let ingress = Arc::new(ingress);
    let mut router = Router::new();
    for path in paths.of(HOOKS) {
        let hooks = post(hook::<P>).options(preflight::<P>);
        router = router.route(&format!("{path}/{{source}}"), hooks);
    }
    if ingress.akeyless_trigger.is_some() {
        for path in paths.of(WEBHOOK) {
            router = router.route(&path, post(akeyless_trigger::<P>));
        }
    }
    for path in paths.of_health() {
        let stopping = stopping.clone();
        let health = get(async move || health(&stopping)).fallback(only_get::<P>);
        router = router.route(&path, health);
    }
    let router = router.method_not_allowed_fallback(method_not_allowed::<P>);
    let exact = router
        .clone()
        .fallback(not_found::<P>)
        .with_state(Arc::clone(&ingress));
    router
        .fallback(async move |request| untidy(exact, request).await)
        .with_state(ingress)
}

/// Answers a request by its path without empty segments.
async fn untidy(exact: Router, mut request: Request<Body>) -> Response {
    if let Some(uri) = tidy_uri(request.uri()) {
        *request.uri_mut() = uri;
    }
    let Ok(answer) = exact.oneshot(request).await;
    answer
}

/// For load balancers. Independent of NATS: while that is away a webhook has to be answered 503 with
/// `Retry-After`, which a load balancer without a healthy replica does not do.
fn health(stopping: &CancellationToken) -> (StatusCode, &'static str) {
    if stopping.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

async fn only_get<P: Publish>(State(ingress): Common<P>, request: Request<Body>) -> Response {
    let mut answer = ingress.refuse(Error::Method, request);
    let allowed = HeaderValue::from_static("GET, HEAD");
    answer.headers_mut().insert(header::ALLOW, allowed);
    answer
}

/// A name that is not UTF-8 is answered like any unknown name.
type Name = Result<Path<String>, PathRejection>;

async fn hook<P: Publish>(
    State(ingress): Common<P>,
    name: Name,
    request: Request<Body>,
) -> Response {
    match ingress.source(name) {
        Some(source) => ingress.answer(source, request).await,
        None => ingress.refuse(Error::NotFound, request),
    }
}

/// Answers a sender that asks whether it may send: [`crate::preflight`].
async fn preflight<P: Publish>(
    State(ingress): Common<P>,
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

async fn akeyless_trigger<P: Publish>(
    State(ingress): Common<P>,
    request: Request<Body>,
) -> Response {
    match &ingress.akeyless_trigger {
        Some(source) => ingress.answer(source, request).await,
        None => ingress.refuse(Error::NotFound, request),
    }
}

async fn not_found<P: Publish>(State(ingress): Common<P>, request: Request<Body>) -> Response {
    ingress.refuse(Error::NotFound, request)
}

async fn method_not_allowed<P: Publish>(
    State(ingress): Common<P>,
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
                // The origin is checked last, of an authenticated sender.
                let failure = match error {
                    Error::Origin => Failure::from(error.clone()),
                    _ => Failure::unauthenticated(error.clone()),
                };
                self.refusals.report(&source.name, &trace, head, &failure);
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
        let by = source.deadline.map(|deadline| started + deadline);
        let received = self.receive(source, &head, body, traceparent, by);
        match received.await {
            Ok(Outcome::Events(accepted)) => {
                self.metrics
                    .accepted(&source.name, accepted.len(), started.elapsed());
                info!(source = %source.name, trace, events = accepted.len(), "accepted");
                json(StatusCode::ACCEPTED, &Accepted { accepted })
            }
            Ok(Outcome::Handshake(answer)) => {
                self.metrics.answered(Some(&source.name), "handshake");
                answer
            }
            Err(failure) => {
                let error = &failure.error;
                self.metrics.answered(Some(&source.name), error.code());
                if source.fail_open && !failure.unauthenticated && !loses_nothing(error) {
                    return self.fail_open(source, &trace, error);
                }
                self.refusals.report(&source.name, &trace, &head, &failure);
                failure.error.into_response()
            }
        }
    }

    /// Answers 204 to a sender that stops working without a 2xx. Never 202, which means that the events are
    /// durable: these are lost, and counted.
    fn fail_open(&self, source: &Source, trace: &str, error: &Error) -> Response {
        let (name, code) = (&source.name, error.code());
        if let Error::Decode(_) = error {
            self.metrics.ignored(name, [Irrelevant::Undecodable]);
        }
        self.metrics.lost(name);
        // A source beyond its rate must not fill the log; the metric counts.
        if let Error::RateLimited = error {
            debug!(source = %name, trace, code, "lost, because this source fails open");
        } else {
            warn!(source = %name, trace, code, %error, "lost, because this source fails open");
        }
        StatusCode::NO_CONTENT.into_response()
    }

    /// Headers → body → verified bytes → decoded → events → stream.
    async fn receive(
        &self,
        source: &Source,
        head: &request::Parts,
        body: Body,
        traceparent: TraceParent,
        by: Option<Instant>,
    ) -> Result<Outcome, Failure> {
        let refused = |refused| Failure::unauthenticated(Error::refused(&source.scheme, refused));
        let unverifiable = || Failure::unauthenticated(Error::Unverifiable);
        let received_at = now();
        let presented = verify::Request::of(head, received_at);
        let admitted = in_time(by, source.scheme.admit(&presented)).await;
        let admitted = admitted.ok_or_else(unverifiable)?.map_err(refused)?;
        let quota = &source.limits.quota;
        let mut body = if admitted.is_verified() {
            self.budget.read(body, quota, by).await?
        } else {
            let peer = Client::of(head).map(Peer::of);
            let read = self.budget.read_unverified(body, peer, by).await;
            read.map_err(|unread| Failure::unauthenticated(unread.into()))?
        };
        let verified = in_time(by, admitted.verify(body.bytes)).await;
        let verified = verified.ok_or_else(unverifiable)?.map_err(refused)?;
        body.permits.verified(quota)?;
        let compressed = verified.bytes().len();
        let verified = verified.decoded(&head.headers, self.budget.largest_body())?;
        let more = verified.bytes().len().saturating_sub(compressed);
        body.permits.decompressed(more)?;
        // Only authenticated requests count.
        if !source.limits.allow(Instant::now()) {
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
                // Boxed, as all that few requests need: the others do not carry its size.
                let answer = Box::pin(handshake::answer(&source.name, handshake, &self.outgoing));
                return Ok(Outcome::Handshake(answer.await?));
            }
        };
        drop(verified);
        let reasons = ignored.iter().map(|(_, reason)| *reason);
        self.metrics.ignored(&source.name, reasons);
        if events.is_empty() && !ignored.is_empty() {
            return Err(Error::Irrelevant.into());
        }
        if !events.is_empty() {
            self.publisher.publish(&events, by).await?;
        }
        drop(body.permits);
        let ids = events.into_iter().map(|event| event.id);
        Ok(Outcome::Events(ids.collect()))
    }

    /// Counts and logs the elements that cannot be read, where others can.
    fn malformed(&self, source: &Source, trace: &str, malformed: &[(usize, String)]) {
        let Some((_, first)) = malformed.first() else {
            return;
        };
        let reasons = malformed.iter().map(|_| Irrelevant::Malformed);
        self.metrics.ignored(&source.name, reasons);
        let elements = malformed.len();
        warn!(source = %source.name, trace, elements, first, "left out elements that cannot be read");
    }

    /// Refuses a request to a path without a source.
    fn refuse(&self, error: Error, request: Request<Body>) -> Response {
        self.metrics.answered(None, error.code());
        let (head, _) = request.into_parts();
        self.refusals.log(None, None, error.code(), &head);
        error.into_response()
    }
}

/// The result of `future`, or `None` if it is not there at `by`.
async fn in_time<T>(by: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match by {
        Some(by) => timeout_at(by, future).await.ok(),
        None => Some(future.await),
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

/// Whether no event is lost by the error: a source that fails open answers it like any other source.
fn loses_nothing(error: &Error) -> bool {
    matches!(
        error,
        Error::Unauthorized(_) | Error::Unverifiable | Error::Irrelevant
    )
}

#[cfg(test)]
mod tests;
