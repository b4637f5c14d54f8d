//! The `auth:` section of a source: one scheme, or several.

pub(crate) mod written;

use eso_relay::config::{ConfigError, SecretFiles};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Basic, Bearer, Credentials, HeaderConfig, HmacConfig, JwtConfig, MtlsConfig, Scheme, SnsConfig,
    StandardWebhooksConfig, carrier, credentials,
};
use crate::outgoing::Outgoing;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = written::names)]
pub enum AuthConfig {
    /// Anyone who reaches the port may send; a warning at every start.
    None,
    Basic(BasicConfig),
    Bearer(BearerConfig),
    Header(HeaderConfig),
    HmacSha256(HmacConfig),
    Jwt(JwtConfig),
    Mtls(MtlsConfig),
    StandardWebhooks(StandardWebhooksConfig),
    /// `auth: sns` has its defaults.
    Sns(SnsConfig),
    /// All of them must hold.
    All(#[serde(deserialize_with = "written::several")] Vec<AuthConfig>),
    /// One of them must hold.
    Any(#[serde(deserialize_with = "written::several")] Vec<AuthConfig>),
}

/// The names of the schemes in `auth:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum SchemeName {
    None,
    Basic,
    Bearer,
    Header,
    HmacSha256,
    StandardWebhooks,
    Jwt,
    Sns,
    Mtls,
    All,
    Any,
}

impl std::fmt::Display for SchemeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}

/// HTTP Basic (RFC 7617).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicConfig {
    pub username: String,
    /// One file or several; the password of each is valid.
    pub password_file: SecretFiles,
}

/// A bearer token (RFC 6750), as plain text in its file and in the header.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BearerConfig {
    /// One file or several; the token of each is valid.
    pub token_file: SecretFiles,
}

impl AuthConfig {
    pub fn name(&self) -> SchemeName {
        match self {
            Self::None => SchemeName::None,
            Self::Basic(_) => SchemeName::Basic,
            Self::Bearer(_) => SchemeName::Bearer,
            Self::Header(_) => SchemeName::Header,
            Self::HmacSha256(_) => SchemeName::HmacSha256,
            Self::StandardWebhooks(_) => SchemeName::StandardWebhooks,
            Self::Jwt(_) => SchemeName::Jwt,
            Self::Sns(_) => SchemeName::Sns,
            Self::Mtls(_) => SchemeName::Mtls,
            Self::All(_) => SchemeName::All,
            Self::Any(_) => SchemeName::Any,
        }
    }

    /// Reads the secrets. A missing or empty file is an error. Keys of issuers are fetched later, through
    /// `outgoing`; certificates of SNS only for messages of these topics.
    pub fn open(&self, outgoing: &Outgoing, topics: &[String]) -> Result<Scheme, ConfigError> {
        let several = |several: &[Self], name: &str| {
            if several.is_empty() {
                return Err(ConfigError::Invalid(format!(
                    "auth.{name} is empty: list the schemes, or write `auth: none`"
                )));
            }
            let schemes = several.iter().map(|one| one.open(outgoing, topics));
            schemes.collect()
        };
        Ok(match self {
            Self::None => Scheme::None,
            Self::Basic(config) => {
                if config.username.contains(':') {
                    return Err(ConfigError::Invalid(
                        "auth.basic.username holds a colon, which no client can send (RFC 7617): choose another".to_owned(),
                    ));
                }
                let passwords =
                    Credentials::open_if(&config.password_file, credentials::is_a_password)?;
                Scheme::Basic(Basic::new(config.username.clone(), passwords))
            }
            Self::Bearer(config) => Scheme::Bearer(Bearer {
                tokens: Credentials::open_if(&config.token_file, credentials::fits_a_header)?,
            }),
            Self::Header(config) => Scheme::Header(config.open()?),
            Self::HmacSha256(config) => Scheme::Hmac(config.open()?),
            Self::Jwt(config) => Scheme::Jwt(config.open(outgoing)?),
            Self::Mtls(config) => Scheme::Mtls(config.open()?),
            Self::StandardWebhooks(config) => Scheme::StandardWebhooks(config.open()?),
            Self::Sns(config) => {
                outgoing.check()?;
                Scheme::Sns(config.open(outgoing, topics))
            }
            Self::All(schemes) => {
                let all: Vec<_> = several(schemes, "all")?;
                carrier::together(&all)?;
                Scheme::All(all)
            }
            Self::Any(schemes) => Scheme::Any(several(schemes, "any")?),
        })
    }

    /// Whether it checks client certificates, which a client sends only when it is asked.
    pub(crate) fn needs_client_ca(&self) -> bool {
        match self {
            Self::Mtls(_) => true,
            Self::All(schemes) | Self::Any(schemes) => schemes.iter().any(Self::needs_client_ca),
            _ => false,
        }
    }

    /// Whether a signature of Amazon SNS may be enough.
    pub fn takes_sns(&self) -> bool {
        match self {
            Self::Sns(_) => true,
            Self::All(schemes) | Self::Any(schemes) => schemes.iter().any(Self::takes_sns),
            _ => false,
        }
    }
}
