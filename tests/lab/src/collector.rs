//! A stand-in for a collector of traces: takes OTLP over HTTP, and keeps it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use anyhow::Context as _;
use axum::{
    Router,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    routing::post,
};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{self as proto, status::StatusCode as SpanStatus},
};
use prost::Message as _;
use tokio_util::task::AbortOnDropHandle;

use crate::{lock, port};

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Take,
    /// Nothing is kept.
    Answer(StatusCode),
    /// There is never an answer.
    Hang,
}

/// A request: its credentials, if it had some, and its body.
type Kept = (Option<String>, Bytes);

/// A running collector; it stops when its last clone is dropped.
#[derive(Clone)]
pub struct Collector {
    url: String,
    kept: Arc<Mutex<Vec<Kept>>>,
    _running: Arc<AbortOnDropHandle<()>>,
}

/// A span as it arrived. Ids are in hexadecimal digits, times in nanoseconds since 1970.
#[derive(Debug, Clone)]
pub struct ReceivedSpan {
    pub service: String,
    pub name: String,
    /// As in the protocol: `Server`, `Producer`, `Consumer`, `Client` or `Internal`.
    pub kind: String,
    pub trace_id: String,
    pub span_id: String,
    /// Empty for the first of a trace.
    pub parent_id: String,
    /// Empty without one.
    pub trace_state: String,
    pub start: u64,
    pub end: u64,
    pub attributes: BTreeMap<String, String>,
    /// The names of its events, and their attributes.
    pub events: Vec<(String, BTreeMap<String, String>)>,
    /// The trace and the span of each link.
    pub links: Vec<(String, String)>,
    pub is_error: bool,
}

impl Collector {
    pub async fn start(manner: Manner) -> anyhow::Result<Self> {
        let kept: Arc<Mutex<Vec<Kept>>> = Arc::default();
        let keep = Arc::clone(&kept);
        let take = move |headers: HeaderMap, body: Bytes| async move {
            match manner {
                Manner::Take => {
                    let authorization = headers.get(AUTHORIZATION);
                    let authorization = authorization.and_then(|it| it.to_str().ok());
                    lock(&keep).push((authorization.map(str::to_owned), body));
                    StatusCode::OK
                }
                Manner::Answer(status) => status,
                Manner::Hang => std::future::pending().await,
            }
        };
        let (url, running) = port::serve(Router::new().route("/v1/traces", post(take))).await?;
        Ok(Self {
            url,
            kept,
            _running: Arc::new(running),
        })
    }

    /// For `trace.endpoint`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The `trace` section of a daemon that sends here.
    pub fn settings(&self) -> String {
        format!("trace: {{ endpoint: '{}' }}\n", self.url)
    }

    /// The requests that it took, as they came.
    pub fn bodies(&self) -> Vec<Bytes> {
        let kept = lock(&self.kept);
        kept.iter().map(|(_, body)| body.clone()).collect()
    }

    /// The credentials of these requests, where they had some, each once.
    pub fn authorizations(&self) -> Vec<String> {
        let kept = lock(&self.kept);
        let all = kept
            .iter()
            .filter_map(|(authorization, _)| authorization.clone());
        let all: std::collections::BTreeSet<String> = all.collect();
        all.into_iter().collect()
    }

    /// Every span that it took.
    ///
    /// # Errors
    /// A request is none of the protocol.
    pub fn spans(&self) -> anyhow::Result<Vec<ReceivedSpan>> {
        let mut spans = Vec::new();
        for body in self.bodies() {
            let request = ExportTraceServiceRequest::decode(body).context("no OTLP")?;
            for of_service in request.resource_spans {
                let resource = of_service.resource.unwrap_or_default();
                let service = texts(&resource.attributes).remove("service.name");
                let service = service.context("no service.name")?;
                let scopes = of_service.scope_spans.into_iter();
                let of_scopes = scopes.flat_map(|scope| scope.spans);
                spans.extend(of_scopes.map(|span| ReceivedSpan::of(&service, &span)));
            }
        }
        Ok(spans)
    }
}

impl ReceivedSpan {
    fn of(service: &str, span: &proto::Span) -> Self {
        let links = span.links.iter();
        let events = span.events.iter();
        let status = span.status.as_ref().map(proto::Status::code);
        Self {
            service: service.to_owned(),
            name: span.name.clone(),
            kind: format!("{:?}", span.kind()),
            trace_id: HEXLOWER.encode(&span.trace_id),
            span_id: HEXLOWER.encode(&span.span_id),
            parent_id: HEXLOWER.encode(&span.parent_span_id),
            trace_state: span.trace_state.clone(),
            start: span.start_time_unix_nano,
            end: span.end_time_unix_nano,
            attributes: texts(&span.attributes),
            events: events
                .map(|event| (event.name.clone(), texts(&event.attributes)))
                .collect(),
            links: links
                .map(|link| {
                    (
                        HEXLOWER.encode(&link.trace_id),
                        HEXLOWER.encode(&link.span_id),
                    )
                })
                .collect(),
            is_error: status == Some(SpanStatus::Error),
        }
    }

    /// The value of an attribute, as text; empty without it.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    };
    let attributes = attributes.iter();
    attributes
        .filter_map(|attribute| Some((attribute.key.clone(), text(attribute)?)))
        .collect()
}
