//! W3C trace context: <https://www.w3.org/TR/trace-context/#traceparent-header>.
//!
//! Each event carries its `traceparent` from the webhook into the message and on into the consumer's log lines,
//! so that one search finds the path of one change.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize, Serializer};

/// Whether the trace is recorded.
const SAMPLED: u8 = 1;

/// A `traceparent` of version 00: the context of a span.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct TraceParent {
    trace_id: u128,
    parent_id: u64,
    flags: u8,
}

/// The text is not a `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent")]
pub struct InvalidTraceParent;

impl TraceParent {
    /// A new, unsampled trace. Not from a secure source: it is for finding log lines and spans.
    pub fn random() -> Self {
        Self {
            trace_id: fastrand::u128(1..),
            parent_id: fastrand::u64(1..),
            flags: 0,
        }
    }

    /// The same trace, one step further.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            parent_id: fastrand::u64(1..),
            ..*self
        }
    }

    /// The same span, recorded or not.
    #[must_use]
    pub fn sampled(self, sampled: bool) -> Self {
        let others = self.flags & !SAMPLED;
        let flags = if sampled { others | SAMPLED } else { others };
        Self { flags, ..self }
    }

    /// Whether the one who began the span records its trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Trace id, span id and flags, as OTLP writes them.
    pub(crate) fn parts(&self) -> ([u8; 16], [u8; 8], u8) {
        let (trace_id, span_id) = (self.trace_id.to_be_bytes(), self.parent_id.to_be_bytes());
        (trace_id, span_id, self.flags)
    }

    /// The last 64 bits of the trace's id, which are random in every version of the specification.
    pub(crate) fn low_bits(&self) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the others are not asked for"
        )]
        let low = self.trace_id as u64;
        low
    }

    /// The trace's id, as tracing tools print it.
    pub fn trace_id(&self) -> String {
        HEXLOWER.encode(&self.trace_id.to_be_bytes())
    }

    fn text(&self) -> String {
        // Sized for all of it: each event holds one.
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        HEXLOWER.encode_append(&self.trace_id.to_be_bytes(), &mut text);
        text.push('-');
        HEXLOWER.encode_append(&self.parent_id.to_be_bytes(), &mut text);
        text.push('-');
        HEXLOWER.encode_append(&[self.flags], &mut text);
        text
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    /// Later versions are read as far as version 00 goes, as the specification asks.
    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let mut parts = text.split('-');
        let mut hex = |length: usize| {
            let part = parts
                .next()
                .filter(|part| part.len() == length)
                .ok_or(InvalidTraceParent)?;
            let lower = part
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            if lower {
                Ok(part)
            } else {
                Err(InvalidTraceParent)
            }
        };
        let (version, trace_id, parent_id, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let more = parts.next().is_some();
        let parsed = Self {
            trace_id: u128::from_str_radix(trace_id, 16).map_err(|_| InvalidTraceParent)?,
            parent_id: u64::from_str_radix(parent_id, 16).map_err(|_| InvalidTraceParent)?,
            flags: u8::from_str_radix(flags, 16).map_err(|_| InvalidTraceParent)?,
        };
        let valid = version != "ff" && (version != "00" || !more);
        if valid && parsed.trace_id != 0 && parsed.parent_id != 0 {
            Ok(parsed)
        } else {
            Err(InvalidTraceParent)
        }
    }
}

impl TryFrom<String> for TraceParent {
    type Error = InvalidTraceParent;

    fn try_from(text: String) -> Result<Self, InvalidTraceParent> {
        text.parse()
    }
}

impl Serialize for TraceParent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_example_comes_back_as_it_was() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace: TraceParent = text.parse().unwrap();
        assert_eq!(trace.to_string(), text);
        assert_eq!(trace.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.child().trace_id(), trace.trace_id());
        assert_ne!(trace.child(), trace);
    }

    #[test]
    fn what_is_not_a_traceparent_is_refused() {
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert!(bad.parse::<TraceParent>().is_err(), "{bad:?} was taken");
        }
    }
}
