//! The section `restart:`.

use std::time::Duration;

use anyhow::ensure;
use eso_relay::config::duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{engine::RestartSettings, matching::workload::Honour};

/// Restarts of the workloads that must see a new value: Deployments, StatefulSets, DaemonSets and Argo Rollouts that
/// have opted in by an annotation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RestartConfig {
    /// Whether workloads are watched and restarted. Needs permission to list, watch and patch them. Default
    /// `false`.
    pub enabled: bool,
    /// Annotations of other tools that count as well. Default: none.
    pub honour: Vec<Honour>,
    /// Whether an event also restarts the readers of a Secret whose ExternalSecret it matches only by a
    /// `dataFrom[].find`, which may find the changed secret or not. Default `false`.
    pub find: bool,
    /// How long a workload must see no further change before it is restarted; at most 60 s in all. Default 5s.
    #[serde(with = "duration::or_zero")]
    #[schemars(with = "duration::Written")]
    pub gather: Duration,
    /// Rollouts under way at a time. Default 4.
    pub concurrency: usize,
    /// The least time between two restarts of one workload; its annotation `eso-relay.dev/restart-interval`
    /// overrides it. Default 0: none.
    #[serde(with = "duration::or_zero")]
    #[schemars(with = "duration::Written")]
    pub min_interval: Duration,
    /// How long ESO may fail to sync what a restart waits for, before the event becomes a dead letter. Default 1 h.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    pub give_up_after: Duration,
}

impl Default for RestartConfig {
    fn default() -> Self {
        let RestartSettings {
            gather,
            concurrency,
            min_interval,
            give_up_after,
            ..
        } = RestartSettings::default();
        Self {
            enabled: false,
            honour: Vec::new(),
            find: false,
            gather,
            concurrency,
            min_interval,
            give_up_after,
        }
    }
}

impl RestartConfig {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.concurrency > 0,
            "`restart.concurrency` must be 1 or more"
        );
        let at_most = RestartSettings::default().gather_at_most;
        ensure!(
            self.gather <= at_most,
            "`restart.gather` must be {} s or less",
            at_most.as_secs()
        );
        Ok(())
    }

    pub(super) fn settings(&self) -> RestartSettings {
        RestartSettings {
            gather: self.gather,
            concurrency: self.concurrency,
            min_interval: self.min_interval,
            give_up_after: self.give_up_after,
            ..RestartSettings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConsumerConfig;

    fn parse(json: &str) -> Result<ConsumerConfig, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn restarts_are_off_until_asked_for() {
        let off = parse(r#"{"cluster": "e"}"#).unwrap();
        assert!(!off.restart.enabled && !off.restart.find && off.restart.honour.is_empty());
        assert_eq!(off.settings().restart, RestartSettings::default());
        let on = r#"{"cluster": "e", "restart": {"enabled": true, "honour": ["stakater"],
            "gather": "0s", "concurrency": 2, "min_interval": "10m", "give_up_after": "2h"}}"#;
        let on = parse(on).unwrap();
        on.check().unwrap();
        assert!(on.restart.enabled && on.restart.honour == [Honour::Stakater]);
        let settings = on.settings().restart;
        assert_eq!(settings.min_interval, Duration::from_secs(600));
        assert_eq!((settings.gather, settings.concurrency), (Duration::ZERO, 2));
        let unknown = r#"{"cluster": "e", "restart": {"honour": ["reloader"]}}"#;
        assert!(parse(unknown).is_err());
    }
}
