//! Secrets in a configuration: from the environment or from files, never from the YAML itself.

use std::{
    fs,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ConfigError, OneOrMany};

/// A secret from the environment. Prints as `[redacted]`.
#[derive(Debug, Clone)]
pub struct Secret(SecretString);

impl Secret {
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[redacted]")
    }
}

/// A file that holds one secret; a newline at its end is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SecretFile(PathBuf);

impl SecretFile {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// An empty file is an error, because an empty secret would admit everyone. So is a pipe or a device.
    pub fn read(&self) -> Result<Secret, ConfigError> {
        let read = |source| ConfigError::Read {
            path: self.0.clone(),
            source,
        };
        // Reading a pipe could block for ever.
        if !fs::metadata(&self.0).map_err(read)?.is_file() {
            return Err(ConfigError::Invalid(format!(
                "the secret file {} is not a regular file",
                self.0.display()
            )));
        }
        let text = fs::read_to_string(&self.0).map_err(read)?;
        let secret = text.strip_suffix('\n').unwrap_or(&text);
        let secret = secret.strip_suffix('\r').unwrap_or(secret);
        if secret.is_empty() {
            return Err(ConfigError::Invalid(format!(
                "the secret file {} is empty",
                self.0.display()
            )));
        }
        Ok(Secret::from(secret.to_owned()))
    }
}

/// One file or several: every secret in them is valid, so that one can be rotated in before
/// another is rotated out.
pub type SecretFiles = OneOrMany<SecretFile>;
