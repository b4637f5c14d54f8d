//! How ESO's providers read keys: one file for each provider with rules of its own; and those of KES, in `kes.rs`.

mod akeyless;
mod alibaba;
mod aws;
mod azure;
mod doppler;
mod gcp;
mod generic;
mod gitlab;
mod ibm;
mod infisical;
mod kes;
mod onepassword;
mod pulumi;
mod regexp;
mod rules;
mod vault;
mod webhook;

use std::{borrow::Cow, fmt, sync::Arc};

use eso_relay::{
    Slug,
    event::{Event, GENERIC, Settle},
    stream::Watched,
};
use serde_json::Value;

use self::rules::{FindBy, Scope};
pub(crate) use self::{
    regexp::Regexp,
    rules::{Pattern, Query, Reading, RemoteRef, Rules},
};

/// A provider: of an event, and of a store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Provider {
    Akeyless,
    Alibaba,
    SecretsManager,
    ParameterStore,
    /// Vault and `OpenBao`: ESO's provider for either reads from both.
    Vault,
    Gcp,
    Azure,
    Doppler,
    Infisical,
    /// By Connect and by the SDK.
    OnePassword,
    Gitlab,
    Ibm,
    Pulumi,
    /// Any URL.
    Webhook,
    /// Any other provider of ESO's union. Keeps its name in the form of `plain`, so that an
    /// event of the same name means its stores.
    Other(Arc<str>),
}

/// The provider of a store, the one key of `spec.provider` (ESO `secretstore_types.go`), with the settings that decide
/// which secrets a key names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Backend {
    Akeyless,
    Alibaba(alibaba::Alibaba),
    SecretsManager(aws::SecretsManager),
    ParameterStore(aws::ParameterStore),
    Vault(vault::Vault),
    Gcp(gcp::Gcp),
    Azure(azure::Azure),
    Doppler(doppler::Doppler),
    Infisical(infisical::Infisical),
    OnePassword(onepassword::OnePassword),
    Gitlab,
    Ibm(ibm::Ibm),
    Pulumi(pulumi::Pulumi),
    Webhook(webhook::Webhook),
    Other(Arc<str>),
}

/// The names in events, in the form of [`plain`].
const SECRETS_MANAGER: &str = "awssm";
const PARAMETER_STORE: &str = "awsps";

impl Provider {
    /// The providers whose stores an event concerns; `None` for `generic`, which concerns every store.
    pub(crate) fn of_event(provider: &Slug) -> Option<Vec<Self>> {
        if provider.as_str() == GENERIC {
            return None;
        }
        let name = plain(provider.as_str());
        Some(match &*name {
            "akeyless" => vec![Self::Akeyless],
            "alibaba" => vec![Self::Alibaba],
            // Parameter Store gives access to its secrets.
            SECRETS_MANAGER => vec![Self::SecretsManager, Self::ParameterStore],
            PARAMETER_STORE => vec![Self::ParameterStore],
            "aws" => vec![
                Self::SecretsManager,
                Self::ParameterStore,
                Self::Other(name.into()),
            ],
            "vault" | "openbao" => vec![Self::Vault],
            "gcpsm" => vec![Self::Gcp],
            "azurekv" => vec![Self::Azure],
            "doppler" => vec![Self::Doppler],
            "infisical" => vec![Self::Infisical],
            "onepassword" | "onepasswordsdk" => vec![Self::OnePassword],
            "gitlab" => vec![Self::Gitlab],
            "ibm" => vec![Self::Ibm],
            "pulumi" => vec![Self::Pulumi],
            "webhook" => vec![Self::Webhook],
            _ => vec![Self::Other(name.into())],
        })
    }

    /// The query of an event for stores of this provider.
    pub(crate) fn query<'e>(&self, event: &'e Event) -> Query<'e> {
        let said = plain(event.provider.as_str());
        Query {
            proxied: *self == Self::ParameterStore && said == SECRETS_MANAGER,
            ..query(event, |key, scope, names| {
                self.names(&said, key, scope, names);
            })
        }
    }

    /// The query of an event for unknown stores: every name that such a store may use.
    pub(crate) fn query_anywhere<'e>(providers: &[Self], event: &'e Event) -> Query<'e> {
        let said = plain(event.provider.as_str());
        let finding = providers.iter().map(Self::finding).max();
        let query = query(event, |key, scope, names| {
            names.push(generic::canonical(key).into());
            for provider in providers {
                provider.names(&said, key, scope, names);
                match provider {
                    Self::Vault => {
                        names.extend(vault::spellings(key, scope).into_iter().map(Cow::Owned));
                    }
                    Self::Azure => names.extend(azure::bare(key).map(Cow::Borrowed)),
                    Self::Webhook => {
                        names.extend(webhook::spellings(key).into_iter().map(Cow::Owned));
                    }
                    _ => {}
                }
            }
        });
        Query {
            finding: finding.unwrap_or_default(),
            ..query
        }
    }

    /// What of a `find` can be compared with an event of this provider, where its store is unknown.
    fn finding(&self) -> FindBy {
        match self {
            // Events contain other names, or none, or another case.
            Self::OnePassword | Self::Infisical | Self::Azure | Self::Alibaba => FindBy::Unknown,
            // A path may be negated, ignored, or an error.
            Self::SecretsManager | Self::Gitlab => FindBy::Name,
            Self::Other(name) => generic::finding(name),
            _ => FindBy::PathAndName,
        }
    }

    /// The canonical names of a key in an event. `said`: the event's provider, this one or one that it gives access
    /// to.
    fn names<'e>(&self, said: &str, key: &'e str, scope: Scope<'_>, names: &mut Vec<Cow<'e, str>>) {
        match self {
            Self::Akeyless => names.push(akeyless::canonical(key).into()),
            Self::Alibaba => names.push(alibaba::canonical(key).into()),
            Self::SecretsManager => aws::secret(key, scope, names),
            Self::ParameterStore => {
                if said != SECRETS_MANAGER {
                    aws::parameter(key, scope, names);
                }
                if said != PARAMETER_STORE {
                    aws::proxied(key, names);
                }
            }
            Self::Vault => vault::query_names(key, scope, names),
            Self::Gcp => gcp::query_names(key, scope, names),
            Self::Azure => azure::query_names(key, scope, names),
            Self::Infisical => infisical::query_names(key, scope, names),
            Self::OnePassword => onepassword::query_names(key, scope, names),
            Self::Gitlab => gitlab::query_names(key, scope, names),
            Self::Ibm => ibm::query_names(key, scope, names),
            Self::Webhook => webhook::query_names(key, scope, names),
            Self::Doppler | Self::Pulumi => names.push(key.into()),
            Self::Other(_) => names.push(generic::canonical(key).into()),
        }
    }
}

/// In the spelling of events.
impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Akeyless => "akeyless",
            Self::Alibaba => "alibaba",
            Self::SecretsManager => "aws-sm",
            Self::ParameterStore => "aws-ps",
            Self::Vault => "vault",
            Self::Gcp => "gcp-sm",
            Self::Azure => "azure-kv",
            Self::Doppler => "doppler",
            Self::Infisical => "infisical",
            Self::OnePassword => "onepassword",
            Self::Gitlab => "gitlab",
            Self::Ibm => "ibm",
            Self::Pulumi => "pulumi",
            Self::Webhook => "webhook",
            Self::Other(name) => name,
        })
    }
}

fn query<'e>(
    event: &'e Event,
    read: impl Fn(&'e str, Scope<'e>, &mut Vec<Cow<'e, str>>),
) -> Query<'e> {
    let (keys, scope) = (event.matches.keys(), Scope(&event.scope));
    let mut names = Vec::with_capacity(keys.len());
    for key in keys {
        read(key, scope, &mut names);
    }
    names.sort_unstable();
    names.dedup();
    Query {
        names,
        keys,
        scope,
        proxied: false,
        finding: FindBy::default(),
    }
}

impl Backend {
    /// From a store's `spec.provider`; `None` when that does not name exactly one provider.
    pub fn of_store(provider: &Value) -> Option<Self> {
        let provider = provider.as_object()?;
        let (name, spec) = provider.iter().next().filter(|_| provider.len() == 1)?;
        let name = plain(name);
        Some(match &*name {
            "akeyless" => Self::Akeyless,
            "alibaba" => Self::Alibaba(alibaba::Alibaba::of(spec)),
            "aws" => match spec["service"].as_str() {
                None | Some("" | "SecretsManager") => {
                    Self::SecretsManager(aws::SecretsManager::of(spec))
                }
                Some("ParameterStore") => Self::ParameterStore(aws::ParameterStore::of(spec)),
                Some(_) => Self::Other(name.into()),
            },
            "vault" => Self::Vault(vault::Vault::of(spec)),
            "openbao" => Self::Vault(vault::Vault::openbao(spec)),
            "gcpsm" => Self::Gcp(gcp::Gcp::of(spec)),
            "azurekv" => Self::Azure(azure::Azure::of(spec)),
            "doppler" => Self::Doppler(doppler::Doppler::of(spec)),
            "infisical" => Self::Infisical(infisical::Infisical::of(spec)),
            "onepassword" => Self::OnePassword(onepassword::OnePassword::connect()),
            "onepasswordsdk" => Self::OnePassword(onepassword::OnePassword::sdk(spec)),
            "gitlab" => Self::Gitlab,
            "ibm" => Self::Ibm(ibm::Ibm::of(spec)),
            "pulumi" => Self::Pulumi(pulumi::Pulumi::of(spec)),
            "webhook" => Self::Webhook(webhook::Webhook::of(spec)),
            _ => Self::Other(name.into()),
        })
    }

    /// The provider whose events concern the store.
    pub fn provider(&self) -> Provider {
        match self {
            Self::Akeyless => Provider::Akeyless,
            Self::Alibaba(_) => Provider::Alibaba,
            Self::SecretsManager(_) => Provider::SecretsManager,
            Self::ParameterStore(_) => Provider::ParameterStore,
            Self::Vault(_) => Provider::Vault,
            Self::Gcp(_) => Provider::Gcp,
            Self::Azure(_) => Provider::Azure,
            Self::Doppler(_) => Provider::Doppler,
            Self::Infisical(_) => Provider::Infisical,
            Self::OnePassword(_) => Provider::OnePassword,
            Self::Gitlab => Provider::Gitlab,
            Self::Ibm(_) => Provider::Ibm,
            Self::Pulumi(_) => Provider::Pulumi,
            Self::Webhook(_) => Provider::Webhook,
            Self::Other(name) => Provider::Other(Arc::clone(name)),
        }
    }

    /// How long after a change ESO may still read the old value, by the store's own settings.
    pub(crate) fn settle(&self) -> Option<Settle> {
        match self {
            Self::OnePassword(store) => store.cache(),
            _ => None,
        }
    }

    /// The secret of this key, if a poller can watch it. `version`: the one that the reference asks for.
    pub(crate) fn watched(&self, key: &str, version: Option<&str>) -> Option<Watched> {
        match self {
            Self::Vault(store) => store.watched(key, version),
            _ => None,
        }
    }

    fn rules(&self) -> &dyn Rules {
        match self {
            Self::Akeyless => &akeyless::Akeyless,
            Self::Alibaba(rules) => rules,
            Self::SecretsManager(rules) => rules,
            Self::ParameterStore(rules) => rules,
            Self::Vault(rules) => rules,
            Self::Gcp(rules) => rules,
            Self::Azure(rules) => rules,
            Self::Doppler(rules) => rules,
            Self::Infisical(rules) => rules,
            Self::OnePassword(rules) => rules,
            Self::Gitlab => &gitlab::Gitlab,
            Self::Ibm(rules) => rules,
            Self::Pulumi(rules) => rules,
            Self::Webhook(rules) => rules,
            Self::Other(name) => generic::of(name),
        }
    }
}

/// The rules of a store, or those for an unknown one.
pub(crate) fn rules(backend: Option<&Backend>) -> &dyn Rules {
    backend.map_or(&generic::UNKNOWN, Backend::rules)
}

/// ESO writes `azurekv` and `onepasswordSDK` where an event, whose provider is a slug, may say
/// `azure-kv` and `onepassword-sdk`.
fn plain(name: &str) -> Cow<'_, str> {
    let is_plain = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    if name.bytes().all(is_plain) {
        return name.into();
    }
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests;
