//! A line of the log as JSON.
//!
//! tracing-subscriber's own formatter writes the same of an event outside of spans, and there are no spans here. It
//! takes four times as long, and the ingress writes a line for each request.

use std::fmt::{self, Debug, Display, Write};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

pub(super) struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // Of a line that comes through the crate `log` only this knows the target.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        let (now, level) = (now(), metadata.level().as_str());
        write!(line, r#"{{"timestamp":"{now:.6}","level":"{level}""#)?;
        let mut fields = Fields {
            line: &mut line,
            written: Ok(()),
        };
        event.record(&mut fields);
        fields.text("target", metadata.target());
        fields.written?;
        line.write_str("}\n")
    }
}

/// Writes the fields of an event, until that fails.
struct Fields<'a, W> {
    line: &'a mut W,
    written: fmt::Result,
}

impl<W: Write> Fields<'_, W> {
    fn raw(&mut self, name: &str, value: impl Display) {
        if self.written.is_ok() {
            self.written = write!(self.line, r#","{name}":{value}"#);
        }
    }

    fn text(&mut self, name: &str, value: impl Display) {
        if self.written.is_ok() {
            self.written = self.try_text(name, value);
        }
    }

    fn try_text(&mut self, name: &str, value: impl Display) -> fmt::Result {
        write!(self.line, r#","{name}":""#)?;
        write!(Escaped(self.line), "{value}")?;
        self.line.write_char('"')
    }
}

impl<W: Write> Visit for Fields<'_, W> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field.name(), format_args!("{value:?}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.raw(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.raw(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.raw(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.raw(field.name(), format_args!("{value:?}"));
        } else {
            self.raw(field.name(), "null");
        }
    }
}

/// Escapes what may not stand in a string (RFC 8259 §7).
struct Escaped<'a, W>(&'a mut W);

impl<W: Write> Write for Escaped<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let special = |byte: &u8| matches!(*byte, b'"' | b'\\' | ..=0x1F);
        let mut rest = text;
        while let Some(at) = rest.as_bytes().iter().position(special) {
            let (plain, from) = rest.split_at(at);
            let (one, after) = from.split_at(1);
            self.0.write_str(plain)?;
            match one {
                "\"" => self.0.write_str("\\\"")?,
                "\\" => self.0.write_str("\\\\")?,
                "\n" => self.0.write_str("\\n")?,
                control => write!(self.0, "\\u{:04x}", control.as_bytes()[0])?,
            }
            rest = after;
        }
        self.0.write_str(rest)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a line of the log tells when it was written"
)]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex, MutexGuard},
    };

    use proptest::prelude::*;
    use serde_json::Value;
    use tracing::{info, subscriber::with_default, warn};
    use tracing_subscriber::fmt;

    use super::*;

    /// Keeps what is logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
            self.0.lock().unwrap()
        }
    }

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The line of this formatter, and that of tracing-subscriber; both without the time.
    fn lines(log: impl Fn()) -> [String; 2] {
        let (ours, theirs) = (Log::default(), Log::default());
        let (to_ours, to_theirs) = (ours.clone(), theirs.clone());
        let builder = fmt().with_writer(move || to_ours.clone());
        with_default(builder.event_format(JsonLine).finish(), &log);
        let builder = fmt().json().flatten_event(true);
        with_default(
            builder.with_writer(move || to_theirs.clone()).finish(),
            &log,
        );
        [ours, theirs].map(|log| {
            let line = String::from_utf8(log.lock().clone()).unwrap();
            let (time, rest) = line.split_at(r#"{"timestamp":"2026-08-08T12:00:00.123456Z""#.len());
            assert!(time.ends_with("Z\""), "{line}");
            rest.to_owned()
        })
    }

    #[test]
    fn a_line_is_what_tracing_subscriber_writes() {
        let [ours, theirs] = lines(|| {
            info!(
                source = %"prod", trace = "4bf9", events = 3_usize, less = -1_i64, share = 0.5,
                whole = 1.0, none = f64::NAN, tls = true, left_out = None::<&str>, debug = ?["a\"b"],
                "accepted {}", "now"
            );
        });
        assert_eq!(ours, theirs);
        assert!(
            ours.contains(r#""message":"accepted now","source":"prod""#),
            "{ours}"
        );
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was(text in any::<String>()) {
            let [line, _] = lines(|| warn!(text, "a line"));
            prop_assert_eq!(line.lines().count(), 1);
            let line: Value = serde_json::from_str(&format!("{{{}", &line[1..])).unwrap();
            prop_assert_eq!(line["text"].as_str(), Some(&*text));
        }
    }
}
