//! The section `watch_list:`.

use std::time::Duration;

use eso_relay::config::duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What this cluster reads from Vault and OpenBao, published for pollers: they watch these paths, so that no list of
/// them is kept by hand.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WatchListConfig {
    /// Whether it is published. Needs permission to write to, and to remove from, the stream `ESO_RELAY_POLLS`.
    /// Default `false`.
    pub enabled: bool,
    /// How long a path stays in the list after nothing reads it any more. Default 5m.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    pub keep: Duration,
}

impl Default for WatchListConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            keep: Duration::from_secs(300),
        }
    }
}
