//! Configuration: a YAML file, then the environment over it.
//!
//! `ESO_RELAY__NATS__URL=…` sets `nats.url`. The separator is doubled because a Kubernetes Service
//! called `eso-relay` injects variables such as `ESO_RELAY_PORT` into every pod.

pub mod duration;
mod in_time;
mod numbers;
mod one_or_many;
mod secret;
mod suggest;

use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

pub use self::{
    in_time::{in_time, within},
    one_or_many::OneOrMany,
    secret::{Secret, SecretFile, SecretFiles},
};

/// The prefix of every variable that overrides a setting.
pub const ENVIRONMENT_PREFIX: &str = "ESO_RELAY";

/// Names of settings that hold a secret. In a file they are refused: `<name>_file` or the
/// environment takes their place.
const SECRETS: [&str; 4] = ["password", "token", "nkey_seed", "secret"];

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "{path}: `{setting}` holds a secret: put it into a file and set `{setting}_file`, or set the variable {variable}"
    )]
    SecretInFile {
        path: PathBuf,
        setting: String,
        variable: String,
    },
    #[error("configuration: {0}")]
    Invalid(String),
}

/// Reads `file`, if there is one, and the environment over it.
pub fn load<T: DeserializeOwned>(file: Option<&Path>) -> Result<T, ConfigError> {
    let environment = Environment::with_prefix(ENVIRONMENT_PREFIX)
        .prefix_separator("__")
        .separator("__")
        // A variable that a manifest sets to an empty text counts as unset.
        .ignore_empty(true);
    let mut builder = Config::builder();
    if let Some(path) = file {
        let yaml = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        refuse_secrets(path, &yaml)?;
        if let Some(problem) = numbers::lost(&yaml) {
            return Err(ConfigError::Invalid(problem));
        }
        builder = builder.add_source(File::from_str(&yaml, FileFormat::Yaml));
    }
    let config = builder
        .add_source(environment)
        .build()
        .map_err(|error| invalid(&error))?;
    config.try_deserialize().map_err(|error| invalid(&error))
}

/// The JSON Schema of the file, for editors. What only the environment may hold is not in it.
pub fn schema<T: JsonSchema>() -> String {
    serde_json::to_string_pretty(&schemars::schema_for!(T))
        // OK because a schema is JSON.
        .expect("a schema is always JSON")
}

/// The configuration as `--check` prints it: JSON, which is YAML too. Secrets serialize redacted.
pub fn effective<T: Serialize>(config: &T) -> String {
    serde_json::to_string_pretty(config)
        // OK because configurations are structs with string keys.
        .expect("a configuration is always JSON")
}

fn invalid(error: &config::ConfigError) -> ConfigError {
    ConfigError::Invalid(match error {
        config::ConfigError::NotFound(setting) => {
            format!(
                "`{setting}` is missing: set it in the file, or set the variable {}",
                variable(setting)
            )
        }
        _ => suggest::with_nearest_name(&error.to_string()),
    })
}

/// The variable that sets a setting.
fn variable(setting: &str) -> String {
    format!(
        "{ENVIRONMENT_PREFIX}__{}",
        setting.replace('.', "__").to_uppercase()
    )
}

fn refuse_secrets(path: &Path, yaml: &str) -> Result<(), ConfigError> {
    let file = Config::builder().add_source(File::from_str(yaml, FileFormat::Yaml));
    let file = file
        .build()
        .map_err(|error| ConfigError::Invalid(format!("{}: {error}", path.display())))?;
    match secret_in(&file.cache, "") {
        None => Ok(()),
        Some(setting) => {
            let variable = variable(&setting);
            Err(ConfigError::SecretInFile {
                path: path.to_owned(),
                setting,
                variable,
            })
        }
    }
}

fn secret_in(value: &config::Value, path: &str) -> Option<String> {
    match &value.kind {
        config::ValueKind::Table(table) => table.iter().find_map(|(name, value)| {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            let scalar = !matches!(
                value.kind,
                config::ValueKind::Table(_) | config::ValueKind::Array(_)
            );
            if scalar && SECRETS.contains(&name.as_str()) {
                Some(path)
            } else {
                secret_in(value, &path)
            }
        }),
        config::ValueKind::Array(values) => values
            .iter()
            .enumerate()
            .find_map(|(at, value)| secret_in(value, &format!("{path}.{at}"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
