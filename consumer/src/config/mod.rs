//! `consumer.yaml`.

mod kes;
mod kubernetes;
mod metrics;
mod restart;
mod shutdown;
mod tenancy;
mod watch_list;

use std::time::Duration;

use anyhow::ensure;
use eso_relay::{
    Slug,
    admin::AdminConfig,
    config::{ConfigError, duration, load},
    nats::NatsConfig,
    telemetry::{LogConfig, spans::TraceConfig},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    kes::KesConfig,
    kubernetes::KubernetesConfig,
    metrics::MetricsConfig,
    restart::RestartConfig,
    shutdown::ShutdownConfig,
    tenancy::{NamespaceAnnotations, TenancyConfig},
    watch_list::WatchListConfig,
};
use crate::{
    engine::{Settings, WindowBounds},
    matching::{selector::LabelSelector, settle::StoreSettle},
    object::Unrefreshable,
};

/// The configuration of one consumer. Only `cluster` has no default.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsumerConfig {
    /// The name of this cluster: of its durable, and in dead letters.
    pub cluster: Slug,
    #[serde(default)]
    pub admin: AdminConfig,
    #[serde(default)]
    pub nats: NatsConfig,
    #[serde(default)]
    pub log: LogConfig,
    #[serde(default)]
    pub trace: TraceConfig,
    #[serde(default)]
    pub kubernetes: KubernetesConfig,
    #[serde(default)]
    pub refresh: RefreshConfig,
    #[serde(default)]
    pub restart: RestartConfig,
    #[serde(default)]
    pub watch_list: WatchListConfig,
    #[serde(default)]
    pub kes: KesConfig,
    #[serde(default)]
    pub tenancy: TenancyConfig,
    #[serde(default)]
    pub metrics: MetricsConfig,
    #[serde(default)]
    pub shutdown: ShutdownConfig,
    /// How old an event may be that the cluster cannot refresh, before it becomes a dead letter.
    /// Default 24 h.
    #[serde(default = "default_give_up_after", with = "duration")]
    #[schemars(with = "duration::Written")]
    pub give_up_after: Duration,
    /// After how many deliveries a message whose handling panics becomes a dead letter. Default 20.
    #[serde(default = "default_max_attempts")]
    pub max_attempts: u64,
    /// The most messages held at once, whose bodies together take 8 MiB at most. Default 16384.
    #[serde(default = "default_max_deliveries")]
    pub max_deliveries: usize,
}

/// How fast to patch.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RefreshConfig {
    /// Patches at once. Default 32.
    pub concurrency: usize,
    /// The most patches per second. Default: no limit.
    pub rate: Option<f64>,
    /// The most patches per second of ExternalSecrets that read through one store. Default: no
    /// limit.
    pub store_rate: Option<f64>,
    /// Mass work (events for a path, a scope, everything, or for more than 100 objects): how many
    /// objects of it may be patched and not yet synced by ESO.
    pub window: Window,
    /// Mass work is delayed by a random part of this, so that clusters do not all read at once.
    /// Default 0: no delay.
    #[serde(with = "duration::or_zero")]
    #[schemars(with = "duration::Written")]
    pub jitter: Duration,
    /// Stores that send an event before their own replicas and caches have the new value. If an event
    /// has a settle of its own, the longer one counts. Default: none.
    pub settle: Vec<StoreSettle>,
    /// Only ExternalSecrets with these labels, in kubectl's syntax: `team=a,tier!=dev`. Default:
    /// all.
    pub selector: Option<LabelSelector>,
    /// Whether an event can match an ExternalSecret by a `dataFrom[].find`. Default `match`.
    pub find: FindPolicy,
    /// Whether to refresh ExternalSecrets with a generator, which issues a new credential at
    /// every refresh. Default `keys`.
    pub generators: GeneratorPolicy,
    /// Policies by which ESO reads a secret once, `created_once` and `interval_zero`, to override: objects with
    /// them are refreshed after a reset of their status. Needs permission to patch `externalsecrets/status`.
    /// For one object: its annotation `eso-relay.dev/force: "true"`. Default: none.
    pub force: Vec<ForcePolicy>,
    /// Whether an event about a secret that a PushSecret writes makes ESO push it again, to overwrite
    /// changes by others. Default `false`.
    pub push_secrets: bool,
}

/// Whether `dataFrom[].find` is matched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FindPolicy {
    /// It is compared by its path and its regular expression.
    #[default]
    Match,
    /// It is ignored.
    Ignore,
}

/// Which events refresh objects with a `dataFrom[].sourceRef.generatorRef`: ESO runs every generator of an
/// object at each of its refreshes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GeneratorPolicy {
    /// Refreshed if an event matches one of their keys, not for a `find` alone.
    #[default]
    Keys,
    /// Refreshed like any other.
    Always,
    /// Never refreshed.
    Never,
}

/// A policy of an ExternalSecret by which ESO does not refresh it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForcePolicy {
    /// `refreshPolicy: CreatedOnce`.
    CreatedOnce,
    /// A `refreshInterval` of 0 or less, without `refreshPolicy: OnChange`.
    IntervalZero,
}

impl ForcePolicy {
    /// Why such an object is skipped, unless it is forced.
    pub fn reason(self) -> Unrefreshable {
        match self {
            Self::CreatedOnce => Unrefreshable::CreatedOnce,
            Self::IntervalZero => Unrefreshable::IntervalZero,
        }
    }
}

/// The window adapts to ESO between these bounds; equal bounds fix it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Window {
    /// Default 4.
    pub min: usize,
    /// Default 256.
    pub max: usize,
}

impl Default for Window {
    fn default() -> Self {
        let WindowBounds { min, max } = Settings::default().window;
        Self { min, max }
    }
}

impl Default for RefreshConfig {
    fn default() -> Self {
        Self {
            concurrency: 32,
            rate: None,
            store_rate: None,
            window: Window::default(),
            jitter: Duration::ZERO,
            settle: Vec::new(),
            selector: None,
            find: FindPolicy::default(),
            generators: GeneratorPolicy::default(),
            force: Vec::new(),
            push_secrets: false,
        }
    }
}

fn default_give_up_after() -> Duration {
    Duration::from_secs(24 * 3600)
}

fn default_max_attempts() -> u64 {
    20
}

fn default_max_deliveries() -> usize {
    Settings::default().max_deliveries
}

impl ConsumerConfig {
    /// From a file, if there is one, and the environment over it.
    pub fn load(file: Option<&std::path::Path>) -> anyhow::Result<Self> {
        let mut config: Self = load(file).map_err(|error| match error {
            ConfigError::Invalid(text) if text.contains("missing field `cluster`") => {
                ConfigError::Invalid(format!(
                    "{text}: set `cluster` to this cluster's name, as in `eso-relay init --cluster`"
                ))
            }
            error => error,
        })?;
        config.trace.complete(|name| std::env::var(name).ok());
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        let RefreshConfig {
            concurrency,
            rate,
            store_rate,
            window,
            ..
        } = self.refresh;
        ensure!(concurrency > 0, "`refresh.concurrency` must be 1 or more");
        for (setting, rate) in [("rate", rate), ("store_rate", store_rate)] {
            ensure!(
                rate.is_none_or(|rate| rate > 0.0 && rate.is_finite()),
                "`refresh.{setting}` must be more than 0; leave it out for no limit"
            );
        }
        ensure!(
            (1..=window.max).contains(&window.min),
            "`refresh.window` needs a `min` of 1 or more, and a `max` that is no less"
        );
        self.restart.check()?;
        self.trace.check()?;
        self.tenancy.check(&self.kubernetes)?;
        ensure!(
            self.max_deliveries > 0,
            "`max_deliveries` must be 1 or more"
        );
        ensure!(self.max_attempts > 0, "`max_attempts` must be 1 or more");
        Ok(())
    }

    /// What the engine needs to know.
    pub fn settings(&self) -> Settings {
        Settings {
            max_deliveries: self.max_deliveries,
            patches_in_flight: self.refresh.concurrency,
            patches_per_second: self.refresh.rate,
            patches_per_second_and_store: self.refresh.store_rate,
            window: WindowBounds {
                min: self.refresh.window.min,
                max: self.refresh.window.max,
            },
            jitter: self.refresh.jitter,
            max_attempts: self.max_attempts,
            give_up_after: self.give_up_after,
            restart: self.restart.settings(),
            ..Settings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<ConsumerConfig, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn the_name_of_the_cluster_is_all_that_must_be_set() {
        let config = parse(r#"{"cluster": "east"}"#).unwrap();
        config.check().unwrap();
        assert_eq!(config.refresh.concurrency, 32);
        assert_eq!(config.settings().max_deliveries, 16_384);
        assert!(parse("{}").is_err());
    }

    #[test]
    fn a_setting_that_could_never_work_is_refused_by_name() {
        for (json, setting) in [
            (
                r#"{"cluster": "e", "refresh": {"concurrency": 0}}"#,
                "refresh.concurrency",
            ),
            (
                r#"{"cluster": "e", "refresh": {"rate": 0.0}}"#,
                "refresh.rate",
            ),
            (
                r#"{"cluster": "e", "refresh": {"store_rate": -1.0}}"#,
                "refresh.store_rate",
            ),
            (
                r#"{"cluster": "e", "refresh": {"window": {"min": 9, "max": 8}}}"#,
                "refresh.window",
            ),
            (
                r#"{"cluster": "e", "restart": {"concurrency": 0}}"#,
                "restart.concurrency",
            ),
            (
                r#"{"cluster": "e", "restart": {"gather": "61s"}}"#,
                "restart.gather",
            ),
            (r#"{"cluster": "e", "max_deliveries": 0}"#, "max_deliveries"),
            (r#"{"cluster": "e", "max_attempts": 0}"#, "max_attempts"),
        ] {
            let error = parse(json).unwrap().check().unwrap_err();
            assert!(error.to_string().contains(setting), "{error}");
        }
    }

    #[test]
    fn zero_durations_are_refused() {
        for json in [
            r#"{"cluster": "e", "give_up_after": "0s"}"#,
            r#"{"cluster": "e", "kubernetes": {"patch_timeout": "0s"}}"#,
            r#"{"cluster": "e", "shutdown": {"grace": "0s"}}"#,
            r#"{"cluster": "e", "restart": {"give_up_after": "0s"}}"#,
            r#"{"cluster": "e", "watch_list": {"keep": "0s"}}"#,
        ] {
            let error = parse(json).unwrap_err().to_string();
            assert!(error.contains("0 is not allowed"), "{error}");
        }
        assert!(parse(r#"{"cluster": "e", "refresh": {"jitter": "0s"}}"#).is_ok());
    }

    #[test]
    fn stores_that_settle_are_named_by_pattern() {
        let settle = |after: &str| {
            parse(&format!(
                r#"{{"cluster": "e", "refresh": {{"settle": [{{"name": "akeyless*", "after": "{after}"}}]}}}}"#
            ))
        };
        assert_eq!(settle("2s").unwrap().refresh.settle.len(), 1);
        assert!(settle("0s").is_err() && settle("1h").is_err());
    }

    #[test]
    fn an_invalid_selector_is_explained() {
        let config = parse(r#"{"cluster": "e", "refresh": {"selector": "team=a, !old"}}"#).unwrap();
        let selector = config.refresh.selector.unwrap();
        assert_eq!(selector.to_string(), "team=a,!old");
        let error = parse(r#"{"cluster": "e", "refresh": {"selector": "a>1"}}"#).unwrap_err();
        assert!(
            error.to_string().contains("`a>1` is not of the form"),
            "{error}"
        );
    }

    #[test]
    fn a_policy_is_one_of_its_words() {
        let refresh = |text: &str| parse(&format!(r#"{{"cluster": "e", "refresh": {{{text}}}}}"#));
        let config = refresh(r#""find": "ignore", "generators": "never""#).unwrap();
        assert_eq!(config.refresh.find, FindPolicy::Ignore);
        assert_eq!(config.refresh.generators, GeneratorPolicy::Never);
        let forced = refresh(r#""force": ["created_once", "interval_zero"]"#).unwrap();
        let both = [ForcePolicy::CreatedOnce, ForcePolicy::IntervalZero];
        assert_eq!(forced.refresh.force, both);
        assert!(refresh(r#""force": ["immutable"]"#).is_err());
        assert!(refresh(r#""find": "never""#).is_err());
        assert!(refresh(r#""generators": true"#).is_err());
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        assert!(parse(r#"{"cluster": "east", "refesh": {}}"#).is_err());
    }
}
