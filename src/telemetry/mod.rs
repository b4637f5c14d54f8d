//! Logs on standard error: JSON for machines, text for people. And traces: [`spans`].

mod json;
pub mod spans;
mod writer;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::IsTerminal as _,
    panic,
    sync::LazyLock,
};

use anyhow::Context as _;
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::error;
use tracing_subscriber::EnvFilter;

pub use self::writer::Flush;
use self::{json::JsonLine, writer::LogWriter};

const DEFAULT: &str = "info,async_nats=off,kube_client=off,kube_runtime=off";

/// Of this process: it has one log.
static DROPPED: LazyLock<Counter> = LazyLock::new(Counter::default);

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Default `json`.
    pub format: LogFormat,
    /// A filter in the syntax of `RUST_LOG`, which overrides it. Default `info`, without the lines in
    /// which the clients of NATS and Kubernetes repeat what the daemons say themselves.
    pub level: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Json,
    Text,
}

/// Starts logging for the process, panics included. A second call changes nothing.
///
/// No thread waits for the reader of the log: lines that find no room are dropped and counted. Keep
/// what it returns until the end of `main`: it writes the last lines.
///
/// # Errors
/// `log.level` or `RUST_LOG` cannot be read, or the system starts no thread.
pub fn init(config: &LogConfig) -> anyhow::Result<Flush> {
    let level = std::env::var("RUST_LOG")
        .ok()
        .filter(|level| !level.is_empty())
        .or_else(|| config.level.clone());
    let filter = EnvFilter::try_new(level.as_deref().unwrap_or(DEFAULT))
        .map_err(|error| anyhow::anyhow!("setting `log.level` (or RUST_LOG): {error}"))?;
    let writer = LogWriter::new(DROPPED.clone());
    let flush = writer.start(std::io::stderr());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours())
        .with_writer(writer);
    // An error means that a test in this process has set a logger already.
    match config.format {
        LogFormat::Json => builder.event_format(JsonLine).try_init().ok(),
        LogFormat::Text => builder.try_init().ok(),
    };
    panic::set_hook(Box::new(log_panic));
    flush.context("cannot start the thread that writes the log")
}

/// Adds `log_lines_dropped_total`, behind the prefix of the daemon's registry.
pub fn register(registry: &mut Registry) {
    registry.register(
        "log_lines_dropped",
        "Log lines that were dropped because nothing read the log, or too slowly",
        DROPPED.clone(),
    );
}

/// On a terminal only, and not if `NO_COLOR` is set (<https://no-color.org>).
fn colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !unwanted
}

/// The hook of the standard library waits for whatever reads standard error.
fn log_panic(info: &panic::PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
    let backtrace = backtrace.as_ref().map(tracing::field::display);
    error!(panic = %info, backtrace, "a thread panicked");
}
