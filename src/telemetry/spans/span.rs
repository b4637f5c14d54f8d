//! One finished span.

use jiff::Timestamp;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value},
    trace::v1::{
        self as proto, Status,
        span::{self, Link},
        status::StatusCode,
    },
};

use crate::{traceparent::TraceParent, tracestate::TraceState};

/// What a span stands for among its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request that was answered.
    Server,
    /// A message that was sent, whose handling may begin later.
    Producer,
    /// A message that was handled.
    Consumer,
    /// A request that was sent, and answered.
    Client,
    Internal,
}

/// A span that has ended. It holds no name of a key, no body, no credential and no address.
#[derive(Debug, Clone)]
pub struct Span(proto::Span);

impl Span {
    /// A span that starts its trace. `context`: its own.
    pub fn new(
        name: impl Into<String>,
        kind: Kind,
        context: TraceParent,
        (start, end): (Timestamp, Timestamp),
    ) -> Self {
        let (trace_id, span_id, flags) = context.parts();
        let kind = match kind {
            Kind::Server => span::SpanKind::Server,
            Kind::Producer => span::SpanKind::Producer,
            Kind::Consumer => span::SpanKind::Consumer,
            Kind::Client => span::SpanKind::Client,
            Kind::Internal => span::SpanKind::Internal,
        };
        Self(proto::Span {
            trace_id: trace_id.to_vec(),
            span_id: span_id.to_vec(),
            flags: flags.into(),
            name: name.into(),
            kind: kind.into(),
            start_time_unix_nano: nanoseconds(start),
            // A clock may be set back.
            end_time_unix_nano: nanoseconds(end.max(start)),
            ..proto::Span::default()
        })
    }

    #[must_use]
    pub fn child_of(mut self, parent: Option<TraceParent>) -> Self {
        if let Some(parent) = parent {
            self.0.parent_span_id = parent.parts().1.to_vec();
        }
        self
    }

    /// What the sender of its trace says of it.
    #[must_use]
    pub fn in_state(mut self, state: Option<&TraceState>) -> Self {
        if let Some(state) = state {
            state.as_str().clone_into(&mut self.0.trace_state);
        }
        self
    }

    /// It has to do with this span, which may belong to another trace.
    #[must_use]
    pub fn linked_to(mut self, other: Option<TraceParent>) -> Self {
        if let Some(other) = other {
            let (trace_id, span_id, flags) = other.parts();
            self.0.links.push(Link {
                trace_id: trace_id.to_vec(),
                span_id: span_id.to_vec(),
                flags: flags.into(),
                ..Link::default()
            });
        }
        self
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.attributes.push(attribute(name, value));
        self
    }

    /// What happened within it.
    #[must_use]
    pub fn event(mut self, at: Timestamp, name: &str, attributes: &[(&str, String)]) -> Self {
        let attributes = attributes.iter();
        self.0.events.push(span::Event {
            time_unix_nano: nanoseconds(at),
            name: name.to_owned(),
            attributes: attributes
                .map(|(name, value)| attribute(name, value.as_str()))
                .collect(),
            dropped_attributes_count: 0,
        });
        self
    }

    /// `why`: a word, never a text from outside.
    #[must_use]
    pub fn failed(mut self, why: &str) -> Self {
        self.0.status = Some(Status {
            message: String::new(),
            code: StatusCode::Error.into(),
        });
        self.with("error.type", why)
    }

    pub(super) fn is_recorded(&self) -> bool {
        self.0.flags & 1 != 0
    }
}

impl From<Span> for proto::Span {
    fn from(span: Span) -> Self {
        span.0
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Number(u64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

pub(super) fn attribute(name: &str, value: impl Into<Value>) -> KeyValue {
    let value = match value.into() {
        Value::Text(text) => any_value::Value::StringValue(text),
        Value::Number(number) => {
            any_value::Value::IntValue(i64::try_from(number).unwrap_or(i64::MAX))
        }
    };
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// Since 1970. A time before that is 1970.
fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}
