//! One entry of `sources:`.

use std::collections::BTreeMap;

use eso_relay::{
    Slug,
    config::ConfigError,
    event::{Pattern, StoreKind, StorePattern, Target},
};
use serde::{Deserialize, Serialize};

use super::{Format, Pointer, Source, cloudevents, generic, slug};
use crate::verify::{AuthConfig, Scheme};

/// A sender, at `POST /v1/hooks/<name>`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    pub name: Slug,
    pub format: FormatName,
    pub auth: AuthConfig,
    /// Whose keys they are. Default: `akeyless` for that format, else `generic`, which matches by
    /// key whatever provider a store has.
    #[serde(default)]
    pub provider: Option<Slug>,
    /// What the events may reach: the tenancy boundary. Default: everything.
    #[serde(default)]
    pub target: Option<TargetConfig>,
    /// Where things stand in the body; for `generic` and `cloudevents`.
    #[serde(default)]
    pub mapping: Option<MappingConfig>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FormatName {
    Akeyless,
    Generic,
    CloudEvents,
}

/// An empty list does not restrict. In a pattern `*` stands for any run of characters.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetConfig {
    pub stores: Vec<StoreConfig>,
    pub namespaces: Vec<Pattern>,
    pub clusters: Vec<Pattern>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// `SecretStore` or `ClusterSecretStore`. Default: both.
    #[serde(default)]
    pub kind: Option<StoreKind>,
    pub name: Pattern,
}

/// JSON pointers (RFC 6901) and what is fixed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MappingConfig {
    /// `generic`: the event or the array of events. Default: the whole body.
    pub events: Option<Pointer>,
    /// Names of one secret; at least one of them must be there. For `cloudevents` into `data`,
    /// by default the subject.
    pub keys: Option<OneOrMany<Pointer>>,
    /// `generic`: an id that is the same when the sender tries again. Without it each delivery is new.
    pub id: Option<Pointer>,
    /// `generic`: what the sender calls what happened.
    #[serde(rename = "type")]
    pub kind: Option<Pointer>,
    /// Which types count. Default: all.
    pub types: Vec<String>,
    /// `generic`: RFC 3339 or Unix time.
    pub time: Option<Pointer>,
    /// Attributes of the place whose secrets these are. Without `keys` (`generic`) an event means
    /// all of it.
    pub scope: BTreeMap<String, String>,
    /// `cloudevents`: whether an event may mean everything that `target` allows. Default `false`.
    pub allow_all: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl SourceConfig {
    /// Reads the secrets and checks what belongs together. Errors name the source.
    pub fn open(&self) -> Result<Source, ConfigError> {
        let scheme = self.auth.open();
        self.open_with(scheme.map_err(|error| self.problem(&with_cause(&error)))?)
    }

    pub(super) fn open_with(&self, scheme: Scheme) -> Result<Source, ConfigError> {
        Ok(Source {
            name: self.name.clone(),
            scheme,
            provider: match self.format {
                FormatName::Akeyless => self.provider.clone().or_else(|| Some(slug("akeyless"))),
                FormatName::Generic | FormatName::CloudEvents => self.provider.clone(),
            },
            format: self.format().map_err(|problem| self.problem(problem))?,
            target: self.target.as_ref().map(TargetConfig::target),
        })
    }

    fn problem(&self, problem: &str) -> ConfigError {
        ConfigError::Invalid(format!("source `{}`: {problem}", self.name))
    }

    fn format(&self) -> Result<Format, &'static str> {
        let mapping = self.mapping.clone().unwrap_or_default();
        let keys = match mapping.keys {
            None => Vec::new(),
            Some(OneOrMany::One(key)) => vec![key],
            Some(OneOrMany::Many(keys)) => keys,
        };
        match self.format {
            FormatName::Akeyless if self.mapping.is_some() => {
                Err("format akeyless is fixed: remove `mapping`")
            }
            FormatName::Akeyless => Ok(Format::Akeyless),
            FormatName::Generic if keys.is_empty() && mapping.scope.is_empty() => {
                Err("format generic needs `mapping.keys`, such as /secret/name, or `mapping.scope`")
            }
            FormatName::Generic if !mapping.types.is_empty() && mapping.kind.is_none() => {
                Err("`mapping.types` needs `mapping.type`: say where the type stands")
            }
            FormatName::Generic if mapping.allow_all => {
                Err("`mapping.allow_all` belongs to format cloudevents: remove it")
            }
            FormatName::Generic => Ok(Format::Generic(generic::Mapping {
                events: mapping.events,
                keys,
                id: mapping.id,
                kind: mapping.kind,
                kinds: mapping.types,
                time: mapping.time,
                scope: mapping.scope,
            })),
            FormatName::CloudEvents
                if [mapping.events, mapping.id, mapping.kind, mapping.time]
                    .iter()
                    .any(Option::is_some) =>
            {
                Err(
                    "a CloudEvent has its own id, type and time: remove events, id, type and time from `mapping`",
                )
            }
            FormatName::CloudEvents => Ok(Format::CloudEvents(cloudevents::Mapping {
                keys,
                kinds: mapping.types,
                scope: mapping.scope,
                allow_all: mapping.allow_all,
            })),
        }
    }
}

impl TargetConfig {
    fn target(&self) -> Target {
        let stores = self.stores.iter().map(|store| StorePattern {
            kind: store.kind,
            name: store.name.clone(),
        });
        Target {
            stores: stores.collect(),
            namespaces: self.namespaces.clone(),
            clusters: self.clusters.clone(),
        }
    }
}

/// The error with what the operating system says.
fn with_cause(error: &ConfigError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
