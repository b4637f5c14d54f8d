//! The only HTTP client of the ingress.
//!
//! Requests go to allowed hosts only, over TLS, without redirects, with limits of size and time, so that no
//! sender can make the ingress fetch an arbitrary URL.

mod https;

use std::{path::PathBuf, time::Duration};

use bytes::{Bytes, BytesMut};
use eso_relay::{
    config::ConfigError,
    requests::{authorities, cause},
};
use reqwest::{Client, ClientBuilder, redirect::Policy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::https::{Https, NotAllowed};

/// From the look-up of the name to the last byte of the answer.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// The `outgoing:` section.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutgoingConfig {
    /// CAs to trust besides the system's (PEM): of a proxy that opens TLS, or of a private issuer.
    pub ca_file: Option<PathBuf>,
}

/// Sends GET requests. Clones share one client.
#[derive(Debug, Clone)]
pub struct Outgoing(Result<Client, NoAuthorities>);

/// The system has no CA certificates: an error only for sources that need outgoing requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot make requests over TLS: {0}; install the system's CA certificates or set `outgoing.ca_file`"
)]
pub struct NoAuthorities(String);

/// Why a request failed. Never quotes the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    #[error("it cannot be reached: {0}")]
    Away(String),
    /// Any status but success; redirects too.
    #[error("it answered with status {0}")]
    Status(u16),
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl Outgoing {
    /// Trusts the system's CAs. An unreadable or empty `outgoing.ca_file` is an error.
    pub fn new(config: &OutgoingConfig) -> Result<Self, ConfigError> {
        let authorities = match &config.ca_file {
            None => Vec::new(),
            Some(path) => authorities(path, "outgoing.ca_file")?,
        };
        let client = Client::builder().tls_certs_merge(authorities);
        Ok(Self::build(client, TIMEOUT))
    }

    /// # Errors
    /// There are no CA certificates. Called for sources that need outgoing requests.
    pub fn check(&self) -> Result<(), ConfigError> {
        let usable = self.0.as_ref().map(drop);
        usable.map_err(|problem| ConfigError::Invalid(problem.to_string()))
    }

    fn build(client: ClientBuilder, timeout: Duration) -> Self {
        eso_relay::nats::install_crypto();
        let client = client
            .https_only(true)
            .redirect(Policy::none())
            .timeout(timeout)
            // Requests are rare: a kept connection would be dead by the next one.
            .pool_max_idle_per_host(0)
            .user_agent("eso-relay");
        Self(client.build().map_err(|error| NoAuthorities(cause(&error))))
    }

    /// The body of the answer, of `limit` bytes at most.
    pub async fn get(&self, url: &Https, limit: usize) -> Result<Bytes, Unreachable> {
        let client = self.0.as_ref();
        let client = client.map_err(|problem| Unreachable::Away(problem.to_string()))?;
        let request = client.get(url.url().clone());
        let mut answer = request.send().await.map_err(away)?;
        if !answer.status().is_success() {
            return Err(Unreachable::Status(answer.status().as_u16()));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(away)? {
            if body.len() + chunk.len() > limit {
                return Err(Unreachable::TooLarge(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

fn away(error: reqwest::Error) -> Unreachable {
    if error.is_timeout() {
        return Unreachable::Away("no answer in time".to_owned());
    }
    // Without the URL: that of a subscription to confirm holds a token.
    Unreachable::Away(cause(&error.without_url()))
}

#[cfg(test)]
pub(crate) mod stand_in;
#[cfg(test)]
mod tests;
