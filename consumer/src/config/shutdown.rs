//! The `shutdown:` section.

use std::time::Duration;

use eso_relay::config::duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShutdownConfig {
    /// How long started patches may take after SIGTERM. Default 20 s; keep it below the pod's
    /// `terminationGracePeriodSeconds`.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    pub grace: Duration,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(20),
        }
    }
}
