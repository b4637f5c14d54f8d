//! A drop-in replacement for akeyless-eso-webhook-trigger: `POST /webhook`, enabled by two environment
//! variables.

use std::time::Duration;

use eso_relay::{
    config::{ConfigError, Secret},
    event::Settle,
};
use serde::Serialize;
use tracing::warn;

use crate::{
    source::Source,
    verify::{Basic, Credentials, Scheme},
};

const USER: &str = "BASIC_AUTH_USER";
const PASSWORD: &str = "BASIC_AUTH_PASSWORD";
const CACHE_BUSTER: &str = "ENABLE_CACHE_BUSTER";
const WAIT_INTERVAL: &str = "CACHE_BUSTER_WAIT_INTERVAL";
/// The default of akeyless-eso-webhook-trigger.
const DEFAULT_WAIT: Duration = Duration::from_secs(2);

/// HTTP Basic credentials and the cache buster, from the environment.
#[derive(Debug, Clone, Serialize)]
pub struct AkeylessTriggerConfig {
    pub username: String,
    pub password: Secret,
    /// The delay from the first refresh to a second one.
    pub settle: Option<Settle>,
    /// `CACHE_BUSTER_WAIT_INTERVAL` is not a duration.
    #[serde(skip)]
    pub wait_unreadable: bool,
}

impl AkeylessTriggerConfig {
    /// `None` when neither variable is set; an error when one is missing. Empty counts as missing.
    pub fn from(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, ConfigError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let missing = |name, other| {
            Err(ConfigError::Invalid(format!(
                "{name} is not set, and {other} is: BASIC_AUTH_USER and BASIC_AUTH_PASSWORD environment variables must be set, both of them"
            )))
        };
        match (set(USER), set(PASSWORD)) {
            (None, None) => Ok(None),
            (None, Some(_)) => missing(USER, PASSWORD),
            (Some(_), None) => missing(PASSWORD, USER),
            (Some(username), Some(_)) if username.contains(':') => {
                Err(ConfigError::Invalid(format!(
                    "{USER} holds a colon, which no client can send (RFC 7617): choose another"
                )))
            }
            (Some(username), Some(password)) => {
                let wait = set(WAIT_INTERVAL);
                let read = wait.as_deref().map(go_duration);
                Ok(Some(Self {
                    username,
                    password: password.into(),
                    settle: match set(CACHE_BUSTER).as_deref() {
                        // Only `true` enables it, as in akeyless-eso-webhook-trigger.
                        Some("true") => Some(settle(read.flatten().unwrap_or(DEFAULT_WAIT))?),
                        _ => None,
                    },
                    wait_unreadable: read == Some(None),
                }))
            }
        }
    }

    pub fn open(&self) -> Source {
        if self.settle.is_some() && self.wait_unreadable {
            // As akeyless-eso-webhook-trigger does.
            warn!(
                "{WAIT_INTERVAL} is not a duration such as 2s or 100ms: waiting {DEFAULT_WAIT:?}"
            );
        }
        let passwords = Credentials::fixed(self.password.clone());
        let scheme = Scheme::Basic(Basic::new(self.username.clone(), passwords));
        let mut source = Source::akeyless_trigger(scheme);
        source.settle = self.settle;
        source
    }
}

fn settle(wait: Duration) -> Result<Settle, ConfigError> {
    Settle::try_from(wait).map_err(|error| {
        ConfigError::Invalid(format!(
            "{WAIT_INTERVAL}: {error}; or unset {CACHE_BUSTER} for a single refresh"
        ))
    })
}

/// Parses what Go's `time.ParseDuration` does, without a sign: `2s`, `1.5s`, `1m30s`.
pub(crate) fn go_duration(text: &str) -> Option<Duration> {
    let is_number = |char: char| char.is_ascii_digit() || char == '.';
    let (mut total, mut rest) = (Duration::ZERO, text);
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|char| !is_number(char))?);
        let (unit, tail) = tail.split_at(tail.find(is_number).unwrap_or(tail.len()));
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let part = number.parse::<f64>().ok()? * seconds;
        total = total.checked_add(Duration::try_from_secs_f64(part).ok()?)?;
        rest = tail;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(
        user: Option<&str>,
        password: Option<&str>,
    ) -> Result<Option<AkeylessTriggerConfig>, String> {
        AkeylessTriggerConfig::from(|name| match name {
            USER => user.map(str::to_owned),
            PASSWORD => password.map(str::to_owned),
            _ => None,
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn both_variables_switch_it_on_and_none_leaves_it_off() {
        let webhook = from(Some("eso"), Some("hunter2")).unwrap().unwrap();
        assert_eq!(
            (webhook.username.as_str(), webhook.password.expose()),
            ("eso", "hunter2")
        );
        assert!(from(None, None).unwrap().is_none());
        assert!(from(Some(""), Some("")).unwrap().is_none());
    }

    fn settle_of(enabled: &str, wait: &str) -> Result<Option<Duration>, String> {
        let webhook = AkeylessTriggerConfig::from(|name| {
            let value = match name {
                CACHE_BUSTER => enabled,
                WAIT_INTERVAL => wait,
                _ => "eso",
            };
            Some(value.to_owned())
        });
        let webhook = webhook.map_err(|error| error.to_string())?.unwrap();
        Ok(webhook.open().settle.map(Settle::get))
    }

    #[test]
    fn the_cache_buster_is_on_for_true_alone_and_waits_for_two_seconds_by_default() {
        for off in ["", "false", "1", "TRUE"] {
            assert_eq!(settle_of(off, "nonsense"), Ok(None), "{off}");
        }
        for (wait, milliseconds) in [
            ("", 2000),
            ("100ms", 100),
            ("1.5s", 1500),
            ("1m30s", 90_000),
            ("10m", 600_000),
            // An unreadable value means the default, as in akeyless-eso-webhook-trigger.
            ("soon", 2000),
            ("2", 2000),
            ("-2s", 2000),
            ("9.9.9s", 2000),
        ] {
            let expected = Some(Duration::from_millis(milliseconds));
            assert_eq!(settle_of("true", wait), Ok(expected), "{wait}");
        }
    }

    #[test]
    fn a_wait_interval_that_could_not_be_kept_is_named() {
        for (wait, advice) in [("0s", "unset ENABLE_CACHE_BUSTER"), ("11m", "shorten it")] {
            let error = settle_of("true", wait).unwrap_err();
            let named = error.contains("CACHE_BUSTER_WAIT_INTERVAL") && error.contains(advice);
            assert!(named, "{wait}: {error}");
        }
    }

    #[test]
    fn a_missing_variable_is_named_and_the_other_ones_value_is_not() {
        let error = from(Some("eso"), None).unwrap_err();
        assert!(error.contains("BASIC_AUTH_PASSWORD is not set"), "{error}");
        let error = from(Some(""), Some("hunter2")).unwrap_err();
        assert!(error.contains("BASIC_AUTH_USER is not set"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        assert!(from(Some("a:b"), Some("hunter2")).is_err());
    }
}
