//! The section `metrics:`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Metrics beside those that are always there.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Whether to count the syncs of each object that was patched, by namespace and name, for 10,000 objects at most.
    /// Default `false`.
    pub objects: bool,
}
