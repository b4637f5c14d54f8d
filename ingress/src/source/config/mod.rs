//! One entry of `sources:`.

mod mapped;

use std::{collections::BTreeMap, time::Duration};

use eso_relay::{
    Slug,
    config::{ConfigError, duration},
    event::{Pattern, Reach, Settle, StoreKind, StorePattern},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ConfirmHost, Format, MappingConfig, Projects, Source, aws_sns::Topics, confirmation::Hosts,
    doppler, element::MAX_ATTRIBUTES, slug,
};
use crate::{
    limit::{LimitsConfig, SourceLimits},
    metrics::SourceMetrics,
    outgoing::Outgoing,
    verify::{AuthConfig, Scheme, written},
};

/// A sender, at `POST /v1/hooks/<name>`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    pub name: Slug,
    pub format: FormatName,
    #[serde(deserialize_with = "written::one")]
    pub auth: AuthConfig,
    /// The provider of the keys. Default: the format's own provider; else `generic`, which matches by key
    /// whatever provider a store has.
    #[serde(default)]
    pub provider: Option<Slug>,
    /// What the events may reach: the tenancy boundary. Default: everything.
    #[serde(default)]
    pub target: Option<TargetConfig>,
    /// Attributes of the place of the secrets, such as `project` or `region`, at most 8; they take precedence
    /// over the payload. Stores in another place are not reached.
    #[serde(default)]
    pub scope: BTreeMap<String, String>,
    /// Pointers to the keys and other fields of the body; for `cloudevents`, `generic`, `github`, `gitlab` and
    /// `standard-webhooks`.
    #[serde(default)]
    pub mapping: Option<MappingConfig>,
    /// `aws-sns`: the ARNs of the topics that may send; at least one.
    #[serde(default)]
    pub topics: Vec<String>,
    /// `gcp-pubsub`, `infisical`: the sender's project (number, id or name) → the project as the
    /// stores write it.
    #[serde(default)]
    pub projects: Projects,
    /// `generic`: the hosts at which a subscription may be confirmed by fetching the URL in its first message:
    /// names of hosts, or `oracle` for Oracle Notifications. Default: none; the log names the host.
    #[serde(default)]
    pub confirm: Vec<ConfirmHost>,
    /// `vault-audit`: answer 2xx even when the event could not be stored and is lost, because
    /// OpenBao stops serving when its only audit device fails. Default `false`.
    #[serde(default)]
    pub fail_open: bool,
    /// Older changes are ignored, by the time in the event itself. Default: no limit.
    #[serde(default, with = "duration::optional")]
    #[schemars(with = "Option<duration::Written>")]
    pub max_age: Option<Duration>,
    /// From the end of the headers to the answer, which is then 503: before the sender gives up, so that it
    /// tries again. The event may be stored all the same. Default: a second less than the format's sender
    /// waits; at most `publish.deadline`.
    #[serde(default, with = "duration::optional")]
    #[schemars(with = "Option<duration::Written>")]
    pub deadline: Option<Duration>,
    #[serde(default)]
    pub limits: LimitsConfig,
    /// Refresh a second time after this delay, at most 10 min: for a store that sends its webhook before its
    /// own replicas and caches have the new value. Default: one refresh.
    #[serde(default)]
    #[schemars(with = "Option<duration::Written>")]
    pub settle: Option<Settle>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum FormatName {
    Akeyless,
    #[serde(rename = "aws-eventbridge")]
    #[value(name = "aws-eventbridge")]
    AwsEventBridge,
    AwsSns,
    AzureEventGrid,
    #[serde(rename = "cloudevents")]
    #[value(name = "cloudevents")]
    CloudEvents,
    Doppler,
    GcpPubsub,
    Generic,
    Github,
    Gitlab,
    IbmSecretsManager,
    Infisical,
    PulumiEsc,
    StandardWebhooks,
    VaultAudit,
    VaultEvents,
}

/// An empty list does not restrict. In a pattern `*` stands for any run of characters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TargetConfig {
    pub stores: Vec<StoreConfig>,
    pub namespaces: Vec<Pattern>,
    pub clusters: Vec<Pattern>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// `SecretStore` or `ClusterSecretStore`. Default: both.
    #[serde(default)]
    pub kind: Option<StoreKind>,
    pub name: Pattern,
}

impl SourceConfig {
    /// Reads the secrets and checks the settings. Errors name the source.
    pub fn open(&self, outgoing: &Outgoing) -> Result<Source, ConfigError> {
        if !self.confirm.is_empty() {
            let usable = outgoing.check();
            usable.map_err(|error| self.problem(&format!("confirm: {error}")))?;
        }
        let scheme = self.auth.open(outgoing, &self.topics);
        self.open_with(scheme.map_err(|error| self.problem(&with_cause(&error)))?)
    }

    /// The same with this scheme instead of `auth`.
    pub(crate) fn open_with(&self, scheme: Scheme) -> Result<Source, ConfigError> {
        let format = self.check().and_then(|()| self.format());
        let provider = || self.format.provider().map(slug);
        Ok(Source {
            name: self.name.clone(),
            scheme,
            fail_open: self.fail_open,
            deadline: self.deadline.or(self.format.deadline()),
            limits: SourceLimits::default(),
            metrics: SourceMetrics::default(),
            provider: self.provider.clone().or_else(provider),
            format: format.map_err(|problem| self.problem(&problem))?,
            target: self.target.as_ref().map(TargetConfig::target),
            scope: self.scope.clone(),
            settle: self.settle,
            max_age: self.max_age,
        })
    }

    /// What is wrong with `deadline`, given the most that publishing may take.
    pub(crate) fn check_deadline(&self, most: Duration) -> Result<(), String> {
        match self.deadline {
            Some(deadline) if deadline > most => Err(format!(
                "`deadline` ({deadline:?}) is above `publish.deadline` ({most:?}): lower it, or raise the other"
            )),
            _ => Ok(()),
        }
    }

    pub(crate) fn problem(&self, problem: &str) -> ConfigError {
        ConfigError::Invalid(format!("source `{}`: {problem}", self.name))
    }

    /// Whether `scope` names a place.
    pub(super) fn is_placed(&self) -> bool {
        self.scope.values().any(|value| !value.is_empty())
    }

    /// Checks that every setting belongs to the format.
    fn check(&self) -> Result<(), String> {
        use FormatName as F;
        let mapped = self
            .mapping
            .as_ref()
            .map_or(0, |mapping| mapping.scope.len());
        for (setting, count) in [("scope", self.scope.len()), ("mapping.scope", mapped)] {
            if count > MAX_ATTRIBUTES {
                return Err(format!(
                    "`{setting}` has {count} attributes, the most is {MAX_ATTRIBUTES}: leave the others out"
                ));
            }
        }
        for (setting, given, formats) in [
            (
                "mapping",
                self.mapping.is_some(),
                &[
                    F::CloudEvents,
                    F::Generic,
                    F::Github,
                    F::Gitlab,
                    F::StandardWebhooks,
                ][..],
            ),
            ("topics", !self.topics.is_empty(), &[F::AwsSns]),
            (
                "projects",
                !self.projects.is_empty(),
                &[F::GcpPubsub, F::Infisical],
            ),
            ("confirm", !self.confirm.is_empty(), &[F::Generic]),
            ("fail_open", self.fail_open, &[F::VaultAudit]),
        ] {
            if given && !formats.contains(&self.format) {
                return Err(format!(
                    "format {} does not take it: remove `{setting}`",
                    self.format
                ));
            }
        }
        if self.auth.takes_sns() && self.format != F::AwsSns {
            return Err(
                "`auth.sns` admits every AWS account, and only format aws-sns restricts that, by its `topics`: set that format, or another scheme".to_owned(),
            );
        }
        Ok(())
    }

    fn format(&self) -> Result<Format, String> {
        Ok(match self.format {
            FormatName::Akeyless => Format::Akeyless,
            FormatName::AwsEventBridge => Format::AwsEventBridge,
            FormatName::AwsSns if self.topics.is_empty() => {
                return Err("format aws-sns needs `topics`, the ARNs of the topics that may send: every AWS account can sign messages of its own topics".to_owned());
            }
            FormatName::AwsSns => Format::AwsSns(Topics(self.topics.clone())),
            FormatName::AzureEventGrid => Format::AzureEventGrid,
            FormatName::CloudEvents => Format::CloudEvents(self.cloudevents()?),
            FormatName::Doppler if !self.is_placed() => Format::Doppler(doppler::Payload::Default),
            FormatName::Doppler => Format::Doppler(doppler::Payload::Custom),
            FormatName::GcpPubsub => Format::GcpPubsub(self.projects.clone()),
            FormatName::Generic => Format::Generic(self.generic()?, Hosts(self.confirm.clone())),
            FormatName::Github => Format::Github(self.generic()?),
            FormatName::Gitlab => Format::Gitlab(self.generic()?),
            FormatName::IbmSecretsManager => Format::IbmSecretsManager,
            FormatName::Infisical => Format::Infisical(self.projects.clone()),
            FormatName::PulumiEsc => Format::PulumiEsc,
            FormatName::StandardWebhooks => Format::StandardWebhooks(self.generic()?),
            FormatName::VaultAudit => Format::VaultAudit,
            FormatName::VaultEvents => Format::VaultEvents,
        })
    }
}

impl FormatName {
    /// A second before the format's sender gives up, as its maker documents; see docs/providers. `None`:
    /// unknown, or not the same for all senders.
    fn deadline(self) -> Option<Duration> {
        let waits = match self {
            // EventBridge API destinations.
            Self::AwsEventBridge => 5,
            // The webhooks of both; the least acknowledgement deadline by default of a push subscription.
            Self::Github | Self::Gitlab | Self::GcpPubsub => 10,
            // SNS; Infisical; the least that Standard Webhooks recommends.
            Self::AwsSns | Self::Infisical | Self::StandardWebhooks => 15,
            Self::AzureEventGrid => 30,
            Self::Akeyless
            | Self::CloudEvents
            | Self::Doppler
            | Self::Generic
            | Self::IbmSecretsManager
            | Self::PulumiEsc
            | Self::VaultAudit
            | Self::VaultEvents => return None,
        };
        Some(Duration::from_secs(waits - 1))
    }

    /// The provider of the keys, where the format implies it; AWS's formats set it for each event.
    fn provider(self) -> Option<&'static str> {
        match self {
            Self::Akeyless => Some("akeyless"),
            Self::AzureEventGrid => Some("azure-kv"),
            Self::Doppler => Some("doppler"),
            Self::GcpPubsub => Some("gcp-sm"),
            Self::IbmSecretsManager => Some("ibm"),
            Self::Infisical => Some("infisical"),
            Self::PulumiEsc => Some("pulumi"),
            Self::VaultAudit | Self::VaultEvents => Some("vault"),
            Self::AwsEventBridge
            | Self::AwsSns
            | Self::CloudEvents
            | Self::Generic
            | Self::Github
            | Self::Gitlab
            | Self::StandardWebhooks => None,
        }
    }
}

impl std::fmt::Display for FormatName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}

impl TargetConfig {
    pub(crate) fn target(&self) -> Reach {
        let stores = self.stores.iter().map(|store| StorePattern {
            kind: store.kind,
            name: store.name.clone(),
        });
        Reach {
            stores: stores.collect(),
            namespaces: self.namespaces.clone(),
            clusters: self.clusters.clone(),
        }
    }
}

/// The error with its cause.
fn with_cause(error: &ConfigError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
