//! `POST /v1/hooks/{source}`: one request, from its headers to its answer.

mod router;

use std::{
    collections::BTreeMap,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
};

use bytes::Bytes;
use eso_relay::{Event, Slug, telemetry::spans::Tracer};
use futures::future::Either;
use http::StatusCode;
use hyper::body::Body;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info, warn};

pub(crate) use self::router::router;
use crate::{
    answer::{Response, empty, json},
    body::{Budget, BufferedBody, Permits},
    client::Peer,
    error::{Error, Failure},
    handshake,
    head::Head,
    metrics::{Counted, Metrics},
    outgoing::Outgoing,
    paths::WEBHOOK,
    preflight,
    publish::{PublishError, Publisher, Stored},
    refusals::Refusals,
    source::{Content, Delivery, Handshake, Irrelevant, Source},
    spans::{Answered, RequestTrace},
    verify::{self, Verified},
};

/// The destination of events: the stream, or in tests a list.
pub(crate) trait Publish: Clone + Send + Sync + 'static {
    /// Takes the events when it is called. Its future ends when every one is durable, or with the reason why not: at
    /// the moment `by` at the latest. Of several messages that hold them the last one is returned.
    fn publish(
        &self,
        events: &[Event],
        by: Option<Instant>,
    ) -> impl Future<Output = Result<Option<Stored>, PublishError>> + Send + use<Self>;
}

impl Publish for Publisher {
    fn publish(
        &self,
        events: &[Event],
        by: Option<Instant>,
    ) -> impl Future<Output = Result<Option<Stored>, PublishError>> + Send + use<> {
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
    pub tracer: Tracer,
}

/// What a sender has sent.
enum Sent {
    Events(Vec<Event>),
    Handshake(Handshake),
}

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

impl<P: Publish> Ingress<P> {
    /// Answers a sender that asks whether it may send: [`crate::preflight`].
    async fn answer_preflight(&self, source: &Source, head: Head<'_>) -> Response {
        match preflight::permission(source, head, now()).await {
            Ok(permission) => {
                source.metrics.answered("handshake");
                info!(source = %source.name, "the sender may send");
                permission
            }
            Err(error) => {
                source.metrics.answered(error.code());
                let trace = RequestTrace::of(&self.tracer, head.headers).id();
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

    async fn answer(
        &self,
        source: &Source,
        head: Head<'_>,
        body: impl Body<Data = Bytes> + Unpin,
    ) -> Response {
        let _in_flight = Counted::up(&self.metrics.in_flight);
        let started = Instant::now();
        let traced = RequestTrace::of(&self.tracer, head.headers);
        let trace = traced.id();
        let by = source.deadline.map(|deadline| started + deadline);
        let answered = |status, result, events| {
            traced.answered(&Answered {
                source: &source.name,
                route: self.route(source),
                status,
                result,
                events,
            });
        };
        match self.receive(source, head, body, &traced, by).await {
            Ok(Outcome::Events(accepted)) => {
                answered(StatusCode::ACCEPTED, "accepted", accepted.len());
                self.metrics
                    .accepted(&source.metrics, accepted.len(), now(), started.elapsed());
                info!(source = %source.name, trace, events = accepted.len(), "accepted");
                json(StatusCode::ACCEPTED, &Accepted { accepted })
            }
            Ok(Outcome::Handshake(answer)) => {
                answered(answer.status(), "handshake", 0);
                source.metrics.answered("handshake");
                answer
            }
            Err(failure) => {
                let error = &failure.error;
                source.metrics.answered(error.code());
                let fails_open =
                    source.fail_open && !failure.unauthenticated && !loses_nothing(error);
                if !failure.unauthenticated {
                    let status = if fails_open {
                        StatusCode::NO_CONTENT
                    } else {
                        error.status()
                    };
                    answered(status, error.code(), 0);
                }
                if fails_open {
                    return Self::fail_open(source, &trace, error);
                }
                self.refusals.report(&source.name, &trace, head, &failure);
                failure.error.into_response()
            }
        }
    }

    /// Answers 204 to a sender that stops working without a 2xx. Never 202, which means that the events are
    /// durable: these are lost, and counted.
    fn fail_open(source: &Source, trace: &str, error: &Error) -> Response {
        let (name, code) = (&source.name, error.code());
        if let Error::Decode(_) = error {
            source.metrics.ignored([Irrelevant::Undecodable]);
        }
        source.metrics.lost();
        // A source beyond its rate must not fill the log; the metric counts.
        if let Error::RateLimited = error {
            debug!(source = %name, trace, code, "lost, because this source fails open");
        } else {
            warn!(source = %name, trace, code, %error, "lost, because this source fails open");
        }
        empty(StatusCode::NO_CONTENT)
    }

    /// Headers → body → verified bytes → decoded → events → stream.
    async fn receive(
        &self,
        source: &Source,
        head: Head<'_>,
        body: impl Body<Data = Bytes> + Unpin,
        trace: &RequestTrace<'_>,
        by: Option<Instant>,
    ) -> Result<Outcome, Failure> {
        let received_at = now();
        let (verified, permits) = self.verified(source, head, body, received_at, by).await?;
        // Only authenticated requests count.
        if !source.limits.allow(Instant::now) {
            return Err(Error::RateLimited.into());
        }
        let outcome = match decoded(source, head, &verified, received_at, trace)? {
            Sent::Events(events) => Either::Left(self.published(events, trace, by)),
            // Boxed, as all that few requests need: the others do not carry its size.
            Sent::Handshake(handshake) => Either::Right(Box::pin(async move {
                let answer = handshake::answer(&source.name, handshake, &self.outgoing);
                Ok(Outcome::Handshake(answer.await?))
            })),
        };
        drop(verified);
        let outcome = outcome.await?;
        drop(permits);
        Ok(outcome)
    }

    /// The bytes of an authenticated sender, decompressed, and the permits to hold them.
    async fn verified<'a>(
        &'a self,
        source: &'a Source,
        head: Head<'_>,
        body: impl Body<Data = Bytes> + Unpin,
        received_at: Timestamp,
        by: Option<Instant>,
    ) -> Result<(Verified, Permits<'a>), Failure> {
        let refused = |refused| Failure::unauthenticated(Error::refused(&source.scheme, refused));
        let unverifiable = || Failure::unauthenticated(Error::Unverifiable);
        let presented = verify::Request::of(head, received_at);
        let admitted = until(by, pin!(source.scheme.admit(&presented))).await;
        let admitted = admitted.ok_or_else(unverifiable)?.map_err(refused)?;
        let quota = &source.limits.quota;
        let BufferedBody { bytes, mut permits } = if admitted.is_verified() {
            self.budget.read(body, quota, by).await?
        } else {
            let peer = Peer::of(head.client());
            let read = self.budget.read_unverified(body, peer, by).await;
            read.map_err(|unread| Failure::unauthenticated(unread.into()))?
        };
        let verified = until(by, pin!(admitted.verify(bytes))).await;
        let verified = verified.ok_or_else(unverifiable)?.map_err(refused)?;
        permits.verified(quota)?;
        let compressed = verified.bytes().len();
        let verified = verified.decompressed(head.headers, self.budget.largest_body())?;
        let more = verified.bytes().len().saturating_sub(compressed);
        permits.decompressed(more)?;
        Ok((verified, permits))
    }

    /// Publishes events. Returns their ids when they are durable.
    fn published(
        &self,
        events: Vec<Event>,
        trace: &RequestTrace<'_>,
        by: Option<Instant>,
    ) -> impl Future<Output = Result<Outcome, Failure>> {
        let began = trace.clock();
        let publishing = self.publisher.publish(&events, by);
        // The rest is freed now: a request that waits holds the ids alone.
        let ids: Vec<_> = events.into_iter().map(|event| event.id).collect();
        async move {
            let stored = publishing.await;
            trace.published(began, ids.len(), &stored);
            stored?;
            Ok(Outcome::Events(ids))
        }
    }

    /// The path of a source, without its name.
    fn route(&self, source: &Source) -> &'static str {
        let trigger = self.akeyless_trigger.as_deref();
        if trigger.is_some_and(|trigger| std::ptr::eq(trigger, source)) {
            WEBHOOK
        } else {
            "/v1/hooks/{source}"
        }
    }

    /// Refuses a request to a path without a source.
    fn refuse(&self, error: Error, head: Head<'_>) -> Response {
        self.metrics.refused(error.code());
        self.refusals.log(None, None, error.code(), head);
        error.into_response()
    }
}

/// The result of `future`, or `None` if it is not there at `by`.
async fn until<T>(by: Option<Instant>, future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match by {
        // Boxed: few sources have a deadline, and the requests of the others do not carry a timer.
        Some(by) => Box::pin(timeout_at(by, future)).await.ok(),
        None => Some(future.await),
    }
}

/// Decodes a body. Counts and logs what of it is no event.
fn decoded(
    source: &Source,
    head: Head<'_>,
    body: &Verified,
    received_at: Timestamp,
    trace: &RequestTrace<'_>,
) -> Result<Sent, Error> {
    let delivery = Delivery {
        headers: head.headers,
        received_at,
        traceparent: trace.events,
        tracestate: trace.state.clone(),
    };
    let (events, ignored, malformed) = match source.decode(body, &delivery)? {
        Content::Events {
            events,
            ignored,
            malformed,
        } => (events, ignored, malformed),
        Content::Handshake(handshake) => return Ok(Sent::Handshake(handshake)),
    };
    if let Some((_, first)) = malformed.first() {
        let reasons = malformed.iter().map(|_| Irrelevant::Malformed);
        source.metrics.ignored(reasons);
        let (trace, elements) = (trace.id(), malformed.len());
        warn!(source = %source.name, trace, elements, first, "left out elements that cannot be read");
    }
    source
        .metrics
        .ignored(ignored.iter().map(|(_, reason)| *reason));
    if events.is_empty() && !ignored.is_empty() {
        return Err(Error::Irrelevant);
    }
    Ok(Sent::Events(events))
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
