//! The section `kubernetes:`.

use std::{path::PathBuf, time::Duration};

use eso_relay::config::duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `kubernetes:` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KubernetesConfig {
    /// Watch and patch only in these; needs no cluster-wide permission. Default empty: everywhere.
    pub namespaces: Vec<String>,
    /// Values of `spec.controller` of the stores to serve, as ESO's `--controller-class`; objects that read
    /// through a store of another class are skipped. Default empty: any class.
    pub controller_classes: Vec<String>,
    /// A context of the kubeconfig. Default: the service account when run in a pod, else the
    /// kubeconfig's current context.
    pub context: Option<String>,
    /// Default `$KUBECONFIG`, else `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// How long a patch may take before it counts as failed and is retried. Default 5s.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    pub patch_timeout: Duration,
    /// Whether to write Kubernetes Events on the objects, which `kubectl describe` shows: refreshed,
    /// not synced by ESO, or not refreshable and why. Needs permission to create `events` in
    /// `events.k8s.io`. Default true.
    pub events: bool,
}

impl Default for KubernetesConfig {
    fn default() -> Self {
        Self {
            namespaces: Vec::new(),
            controller_classes: Vec::new(),
            context: None,
            kubeconfig: None,
            patch_timeout: Duration::from_secs(5),
            events: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_settings_are_refused_and_durations_are_text() {
        let read = |text| serde_json::from_str::<KubernetesConfig>(text);
        assert!(read(r#"{"namespace": ["a"]}"#).is_err());
        let config = read(r#"{"namespaces": ["a"], "patch_timeout": "2s"}"#).unwrap();
        assert_eq!(config.patch_timeout, Duration::from_secs(2));
    }
}
