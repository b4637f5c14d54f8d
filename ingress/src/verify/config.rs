//! The `auth:` section of a source: exactly one scheme.

use eso_relay::config::{ConfigError, SecretFiles};
use serde::{Deserialize, Serialize};

use super::{Basic, Bearer, Credentials, Hmac, Scheme};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthConfig {
    Basic(BasicConfig),
    Bearer(BearerConfig),
    HmacSha256(HmacConfig),
}

/// HTTP Basic (RFC 7617).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicConfig {
    pub username: String,
    /// One file or several; the password of each is valid.
    pub password_file: SecretFiles,
}

/// A bearer token (RFC 6750), as plain text in its file and in the header.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BearerConfig {
    /// One file or several; the token of each is valid.
    pub token_file: SecretFiles,
}

/// HMAC-SHA256 over the raw body, in a header.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HmacConfig {
    /// One file or several; a signature by the secret of each is valid.
    pub secret_file: SecretFiles,
    /// The header of the signature, such as `X-Hub-Signature-256`.
    pub header: String,
    /// What stands before the signature, such as `sha256=`. Default: nothing.
    #[serde(default)]
    pub prefix: String,
    /// Default `hex`.
    #[serde(default)]
    pub encoding: Encoding,
}

/// How the signature is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    #[default]
    Hex,
    /// Standard alphabet, padded (RFC 4648 §4).
    Base64,
}

impl AuthConfig {
    /// Reads the secrets. A missing or empty file is an error, never an open door.
    pub fn open(&self) -> Result<Scheme, ConfigError> {
        Ok(match self {
            Self::Basic(config) => {
                if config.username.contains(':') {
                    return Err(ConfigError::Invalid(
                        "auth.basic.username holds a colon, which no client can send (RFC 7617): choose another".to_owned(),
                    ));
                }
                let passwords = Credentials::open(&config.password_file)?;
                Scheme::Basic(Basic::new(config.username.clone(), passwords))
            }
            Self::Bearer(config) => Scheme::Bearer(Bearer {
                tokens: Credentials::open(&config.token_file)?,
            }),
            Self::HmacSha256(config) => {
                let header = config.header.parse().map_err(|_| {
                    ConfigError::Invalid(
                        "auth.hmac-sha256.header is not the name of a header: set one such as X-Hub-Signature-256".to_owned(),
                    )
                })?;
                Scheme::Hmac(Hmac {
                    secrets: Credentials::open(&config.secret_file)?,
                    header,
                    prefix: config.prefix.clone(),
                    encoding: config.encoding,
                })
            }
        })
    }
}
