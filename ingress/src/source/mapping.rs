//! The `mapping:` of a source: pointers into the body, and constants.

use std::{collections::BTreeMap, str::FromStr};

use eso_relay::{
    config::{ConfigError, OneOrMany},
    event::{Operation, TemplateKind},
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::Pointer;

/// JSON pointers (RFC 6901) and constants. For `cloudevents` the pointers go into `data`, and only
/// `keys`, `match`, `template`, `scope`, `operation`, `types` and `allow_all` may be set.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MappingConfig {
    /// The event or the array of events. Default: the whole body.
    pub events: Option<Pointer>,
    /// In an event, a list whose members are a change each: names, or objects into which `keys` go.
    /// Default: an event is one change.
    pub each: Option<Pointer>,
    /// Names of one secret; at least one of them must be there. For `cloudevents` by default the
    /// subject.
    pub keys: Option<OneOrMany<Pointer>>,
    /// How `keys` and scope match. Default: `exact`; without any keys `scope`.
    #[serde(rename = "match")]
    #[schemars(with = "Option<String>")]
    pub matches: Option<MatchConfig>,
    /// The kind that `keys` name instead of secrets of stores: `ConfigMap` or `Secret` of the cluster, which
    /// templates of ExternalSecrets use; or a pointer to the kind. Then the match is `exact`, and the attribute
    /// `namespace` of `scope` is the object's namespace. Default: secrets of stores.
    #[schemars(with = "Option<String>")]
    pub template: Option<TemplateConfig>,
    /// Attributes of the place of the secret, each with a pointer. One that is missing is not compared; the
    /// source's own `scope` takes precedence.
    pub scope: BTreeMap<String, Pointer>,
    /// The operation of every event: informative. Default `unknown`.
    #[serde(deserialize_with = "operation")]
    pub operation: Operation,
    /// An id that stays the same when the sender retries. Without it, or a header of the format that has it,
    /// each delivery is new.
    pub id: Option<Pointer>,
    /// The type of the event, unless a header of the format tells it.
    #[serde(rename = "type")]
    pub kind: Option<Pointer>,
    /// The types that are not ignored. Default: all.
    pub types: Vec<String>,
    /// RFC 3339 or Unix time.
    pub time: Option<Pointer>,
    /// Whether an event may mean everything that `target` allows. Default `false`.
    pub allow_all: bool,
}

/// The match of every event, or (with a slash) a pointer to it; an event without a value there has the default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum MatchConfig {
    Always(MatchKind),
    At(Pointer),
}

/// The kind of every template source, or (with a slash) a pointer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TemplateConfig {
    Always(TemplateKind),
    At(Pointer),
}

/// Which references an event matches ([`eso_relay::event::Match`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchKind {
    /// One secret, by any of its keys.
    Exact,
    /// Every secret below the first key.
    Prefix,
    /// Everything in the scope.
    Scope,
    /// Everything that the source's target allows.
    All,
}

impl MappingConfig {
    /// The pointers of `keys`; empty without `keys`.
    pub(super) fn names(&self) -> &[Pointer] {
        self.keys.as_ref().map_or(&[], OneOrMany::as_slice)
    }
}

impl TryFrom<String> for MatchConfig {
    type Error = ConfigError;

    fn try_from(text: String) -> Result<Self, ConfigError> {
        if text.starts_with('/') {
            return Pointer::try_from(text).map(Self::At);
        }
        text.parse().map(Self::Always).map_err(|()| {
            ConfigError::Invalid(format!(
                "`{text}` is neither exact, prefix, scope or all nor a JSON pointer such as /match"
            ))
        })
    }
}

impl TryFrom<String> for TemplateConfig {
    type Error = ConfigError;

    fn try_from(text: String) -> Result<Self, ConfigError> {
        if text.starts_with('/') {
            return Pointer::try_from(text).map(Self::At);
        }
        text.parse().map(Self::Always).map_err(|_| {
            ConfigError::Invalid(format!(
                "`{text}` is neither ConfigMap or Secret nor a JSON pointer such as /kind"
            ))
        })
    }
}

impl From<TemplateConfig> for String {
    fn from(template: TemplateConfig) -> Self {
        match template {
            TemplateConfig::Always(kind) => kind.to_string(),
            TemplateConfig::At(pointer) => pointer.into(),
        }
    }
}

impl From<MatchConfig> for String {
    fn from(matches: MatchConfig) -> Self {
        match matches {
            MatchConfig::Always(kind) => kind.to_string(),
            MatchConfig::At(pointer) => pointer.into(),
        }
    }
}

impl FromStr for MatchKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let all = [Self::Exact, Self::Prefix, Self::Scope, Self::All];
        let found = all.into_iter().find(|kind| kind.name() == text);
        found.ok_or(())
    }
}

impl MatchKind {
    fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Prefix => "prefix",
            Self::Scope => "scope",
            Self::All => "all",
        }
    }
}

impl std::fmt::Display for MatchKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// On the wire an operation of a later version is `unknown`; in a configuration it is a mistake.
fn operation<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Operation, D::Error> {
    let text = String::deserialize(deserializer)?;
    let operation: Operation = serde_json::from_value(text.as_str().into()).unwrap_or_default();
    if operation == Operation::Unknown && text != "unknown" {
        return Err(D::Error::custom(format!(
            "`{text}` is not an operation: write created, updated, deleted, restored, metadata or unknown"
        )));
    }
    Ok(operation)
}
