//! The spans of the ingress: one for each authenticated request, and one for what it publishes, which the events
//! carry on. With traces off the events carry the sender's trace, or one of their own.

use eso_relay::{
    Slug,
    stream::Stream,
    telemetry::spans::{Kind, Span, Tracer},
    traceparent::TraceParent,
    tracestate::TraceState,
};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

use crate::{
    error::Error,
    publish::{PublishError, Stored},
};

/// The subjects of events, without what differs between them.
const SUBJECTS: &str = "eso-relay.events.v1.{provider}.{source}";

/// The trace of one request.
pub(crate) struct RequestTrace<'a> {
    tracer: &'a Tracer,
    /// Of its events.
    pub(crate) events: TraceParent,
    /// Of the sender's trace, if this is it.
    pub(crate) state: Option<TraceState>,
    /// `None`: traces are off. Boxed, so that a request without costs no memory.
    request: Option<Box<RequestSpan>>,
}

/// The span of the request itself.
struct RequestSpan {
    context: TraceParent,
    sender: Option<TraceParent>,
    started: Timestamp,
}

/// What a request was answered.
pub(crate) struct Answered<'a> {
    pub(crate) source: &'a Slug,
    pub(crate) route: &'static str,
    pub(crate) status: StatusCode,
    /// As in the metrics.
    pub(crate) result: &'a str,
    pub(crate) events: usize,
}

impl<'a> RequestTrace<'a> {
    /// Continues the sender's trace. Nothing of it is sent before the request is authenticated: a stranger decides
    /// about no trace.
    pub(crate) fn of(tracer: &'a Tracer, headers: &HeaderMap) -> Self {
        let sender = sender(headers);
        let context = match sender {
            Some(sender) => tracer.child_of(sender),
            None => tracer.root(),
        };
        let request = context.map(|context| {
            Box::new(RequestSpan {
                context,
                sender,
                started: now(),
            })
        });
        let events = context.and_then(|context| tracer.child_of(context));
        let events = events.or(sender).unwrap_or_else(TraceParent::random);
        Self {
            tracer,
            events,
            state: sender.and_then(|_| state(headers)),
            request,
        }
    }

    /// The trace's id, as tracing tools print it.
    pub(crate) fn id(&self) -> String {
        self.events.trace_id()
    }

    /// Now, if a span needs to know.
    pub(crate) fn clock(&self) -> Option<Timestamp> {
        let recorded = self.request.is_some() && self.events.is_sampled();
        recorded.then(now)
    }

    /// The request's events were published, or not. `began`: what [`Self::clock`] said before.
    pub(crate) fn published(
        &self,
        began: Option<Timestamp>,
        events: usize,
        result: &Result<Option<Stored>, PublishError>,
    ) {
        if let (Some(began), Some(request), 1..) = (began, &self.request, events) {
            let span = sent(self.events, began, events, result);
            let span = span.child_of(Some(request.context));
            self.tracer.finish(span.in_state(self.state.as_ref()));
        }
    }

    /// An authenticated request was answered.
    pub(crate) fn answered(&self, answered: &Answered<'_>) {
        let Some(request) = self.request.as_deref() else {
            return;
        };
        if !request.context.is_sampled() {
            return;
        }
        let Answered {
            source,
            route,
            status,
            result,
            events,
        } = *answered;
        let name = format!("POST {route}");
        let times = (request.started, now());
        let span = Span::new(name, Kind::Server, request.context, times)
            .child_of(request.sender)
            .in_state(self.state.as_ref())
            .with("http.request.method", "POST")
            .with("http.route", route)
            .with("http.response.status_code", u64::from(status.as_u16()))
            .with("eso_relay.source", source.as_str())
            .with("eso_relay.result", result)
            .with("eso_relay.events", events);
        self.tracer.finish(if status.is_server_error() {
            span.failed(result)
        } else {
            span
        });
    }
}

/// Events were published that no request has brought, in a trace of their own.
pub(crate) fn published(
    tracer: &Tracer,
    context: Option<TraceParent>,
    began: Timestamp,
    stored: Option<Stored>,
) {
    if let Some(context) = context.filter(TraceParent::is_sampled) {
        tracer.finish(sent(context, began, 1, &Ok(stored)));
    }
}

/// From the moment that the events are accepted to the PubAck.
fn sent(
    context: TraceParent,
    began: Timestamp,
    events: usize,
    result: &Result<Option<Stored>, PublishError>,
) -> Span {
    let times = (began, now());
    let span = Span::new("send eso-relay.events", Kind::Producer, context, times)
        .with("messaging.system", "nats")
        .with("messaging.operation.name", "send")
        .with("messaging.operation.type", "send")
        .with("messaging.destination.name", Stream::Events.name())
        .with("messaging.destination.template", SUBJECTS)
        .with("messaging.batch.message_count", events);
    match result {
        Ok(None) => span,
        Ok(Some(stored)) => span
            .with("messaging.message.id", &*stored.message_id)
            .with("eso_relay.stream.sequence", stored.sequence),
        Err(error) => span.failed(Error::Publish(*error).code()),
    }
}

fn sender(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get("traceparent")?.to_str().ok()?.parse().ok()
}

/// `None` also where it is malformed or too long: nothing depends on it.
fn state(headers: &HeaderMap) -> Option<TraceState> {
    let fields = headers.get_all("tracestate").iter();
    let fields: Result<Vec<_>, _> = fields.map(http::HeaderValue::to_str).collect();
    fields.ok()?.join(",").parse().ok()
}

#[expect(clippy::disallowed_methods, reason = "spans hold the time")]
fn now() -> Timestamp {
    Timestamp::now()
}
