//! Logs on standard error: JSON for machines, text for people.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

const DEFAULT: &str = "info,async_nats=off,kube_client=off,kube_runtime=off";

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

/// Starts logging for the process. A second call changes nothing.
pub fn init(config: &LogConfig) -> anyhow::Result<()> {
    let level = std::env::var("RUST_LOG")
        .ok()
        .or_else(|| config.level.clone());
    let filter = EnvFilter::try_new(level.as_deref().unwrap_or(DEFAULT))
        .map_err(|error| anyhow::anyhow!("setting `log.level` (or RUST_LOG): {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // An error means that a test in this process has set a logger already.
    match config.format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init()
            .ok(),
        LogFormat::Text => builder.try_init().ok(),
    };
    Ok(())
}
