//! The section `kes:`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// ExternalSecrets of kubernetes-external-secrets, beside those of ESO.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KesConfig {
    /// Whether they are watched and refreshed, where the API serves them. Needs permission to list, watch and patch
    /// `externalsecrets` of `kubernetes-client.io`, and to patch `externalsecrets/status`. Default `false`.
    pub enabled: bool,
}
