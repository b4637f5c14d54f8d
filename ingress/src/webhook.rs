//! The drop-in for akeyless-eso-webhook-trigger: `POST /webhook`, on when two variables are set.

use eso_relay::config::{ConfigError, Secret};
use serde::Serialize;

use crate::{
    source::Source,
    verify::{Basic, Credentials, Scheme},
};

const USER: &str = "BASIC_AUTH_USER";
const PASSWORD: &str = "BASIC_AUTH_PASSWORD";

/// HTTP Basic credentials out of the environment.
#[derive(Debug, Clone, Serialize)]
pub struct WebhookConfig {
    pub username: String,
    pub password: Secret,
}

impl WebhookConfig {
    /// `None` when neither variable is set; an error when one is missing. Empty counts as missing.
    pub fn from(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, ConfigError> {
        let set = |name| variable(name).filter(|value| !value.is_empty());
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
            (Some(username), Some(password)) => Ok(Some(Self {
                username,
                password: password.into(),
            })),
        }
    }

    pub fn open(&self) -> Source {
        let passwords = Credentials::fixed(self.password.clone());
        Source::seed(Scheme::Basic(Basic::new(self.username.clone(), passwords)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(user: Option<&str>, password: Option<&str>) -> Result<Option<WebhookConfig>, String> {
        WebhookConfig::from(|name| match name {
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
