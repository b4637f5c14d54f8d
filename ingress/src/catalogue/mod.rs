//! The formats and schemes of this binary, each explained, with a configuration that loads.

mod clouds;
mod open;
mod scheme;
mod stores;

use clap::ValueEnum as _;
use serde::Serialize;

use crate::{FormatName, verify::SchemeName};

/// A format: its sender and how it is read. Texts for people.
#[derive(Debug, Serialize)]
pub struct Format {
    pub name: FormatName,
    pub sender: &'static str,
    pub reads: &'static str,
    /// Keys and scope.
    pub gives: &'static str,
    pub proof: &'static str,
    /// What the sender does when it is not answered 2xx.
    pub failure: &'static str,
    /// YAML.
    pub stanza: &'static str,
    #[serde(skip)]
    pub sample: Sample,
}

/// A scheme of authentication.
#[derive(Debug, Serialize)]
pub struct Scheme {
    pub name: SchemeName,
    pub proof: &'static str,
    /// The senders that use it, with its advantages and drawbacks.
    pub use_for: &'static str,
    /// YAML.
    pub stanza: &'static str,
}

/// A request as the sender documents it, without credentials.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// The headers that the format reads.
    pub headers: &'static [(&'static str, &'static str)],
    pub body: &'static str,
}

/// A sample without special headers.
const fn json(body: &'static str) -> Sample {
    Sample { headers: &[], body }
}

pub fn formats() -> impl Iterator<Item = &'static Format> {
    FormatName::value_variants()
        .iter()
        .map(|name| format(*name))
}

pub fn schemes() -> impl Iterator<Item = &'static Scheme> {
    SchemeName::value_variants()
        .iter()
        .map(|name| scheme(*name))
}

pub fn format(name: FormatName) -> &'static Format {
    match name {
        FormatName::Akeyless => &stores::AKEYLESS,
        FormatName::AwsEventBridge => &clouds::AWS_EVENTBRIDGE,
        FormatName::AwsSns => &clouds::AWS_SNS,
        FormatName::AzureEventGrid => &clouds::AZURE_EVENT_GRID,
        FormatName::CloudEvents => &open::CLOUDEVENTS,
        FormatName::Doppler => &stores::DOPPLER,
        FormatName::GcpPubsub => &clouds::GCP_PUBSUB,
        FormatName::Generic => &open::GENERIC,
        FormatName::Github => &open::GITHUB,
        FormatName::Gitlab => &open::GITLAB,
        FormatName::IbmSecretsManager => &clouds::IBM_SECRETS_MANAGER,
        FormatName::Infisical => &stores::INFISICAL,
        FormatName::PulumiEsc => &stores::PULUMI_ESC,
        FormatName::StandardWebhooks => &open::STANDARD_WEBHOOKS,
        FormatName::VaultAudit => &stores::VAULT_AUDIT,
        FormatName::VaultEvents => &stores::VAULT_EVENTS,
    }
}

pub fn scheme(name: SchemeName) -> &'static Scheme {
    match name {
        SchemeName::None => &scheme::NONE,
        SchemeName::Basic => &scheme::BASIC,
        SchemeName::Bearer => &scheme::BEARER,
        SchemeName::Header => &scheme::HEADER,
        SchemeName::HmacSha256 => &scheme::HMAC_SHA256,
        SchemeName::StandardWebhooks => &scheme::STANDARD_WEBHOOKS,
        SchemeName::Jwt => &scheme::JWT,
        SchemeName::Sns => &scheme::SNS,
        SchemeName::Mtls => &scheme::MTLS,
        SchemeName::All => &scheme::ALL,
        SchemeName::Any => &scheme::ANY,
    }
}

#[cfg(test)]
mod tests;
