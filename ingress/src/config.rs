//! `ingress.yaml`, with the environment over it.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

use eso_relay::{
    Slug,
    admin::AdminConfig,
    config::{self, ConfigError, duration},
    nats::NatsConfig,
    telemetry::LogConfig,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    body,
    limit::LimitsConfig,
    outgoing::{Outgoing, OutgoingConfig},
    paths::{Paths, UrlPath},
    publish::PublishConfig,
    server,
    source::{Source, SourceConfig},
    tls::{Tls, TlsConfig},
    webhook::WebhookConfig,
};

/// Everything that the ingress can be told.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IngressConfig {
    /// Default `0.0.0.0:8080`: the public port, plain HTTP unless `tls` is set.
    pub listen: SocketAddr,
    pub tls: TlsConfig,
    /// Default none: what a proxy leaves before every path, such as `/eso-relay`. The paths work with it and
    /// without it.
    pub base_path: Option<UrlPath>,
    /// Default `/healthz`: answers the health checks of load balancers on `listen`; empty: nothing does.
    pub health_path: UrlPath,
    pub admin: AdminConfig,
    pub nats: NatsConfig,
    pub log: LogConfig,
    pub sources: Vec<SourceConfig>,
    /// From `BASIC_AUTH_USER` and `BASIC_AUTH_PASSWORD` in the environment only.
    #[serde(skip_deserializing)]
    #[schemars(skip)]
    pub webhook: Option<WebhookConfig>,
    /// Default 1 MiB: the largest body, in bytes.
    pub body_limit: usize,
    /// Default 16 MiB: the bytes that all bodies hold together. More are answered 503.
    pub max_buffered: usize,
    /// Default `10s`: for a body to arrive.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    pub request_timeout: Duration,
    /// Default `5s`: for the headers of a request to arrive; also ends idle connections.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    pub header_timeout: Duration,
    /// Default 1024. More wait until one closes.
    pub max_connections: usize,
    pub publish: PublishConfig,
    pub outgoing: OutgoingConfig,
    pub shutdown: ShutdownConfig,
}

/// How the ingress ends. Keep `terminationGracePeriodSeconds` above `grace`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShutdownConfig {
    /// Default `5s`: still serving, no longer ready, until load balancers have noticed.
    #[serde(with = "duration::or_zero")]
    #[schemars(with = "duration::Written")]
    pub drain_delay: Duration,
    /// Default `25s`: for all of it, the drain delay included.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    pub grace: Duration,
}

impl Default for IngressConfig {
    fn default() -> Self {
        Self {
            listen: ([0, 0, 0, 0], 8080).into(),
            tls: TlsConfig::default(),
            base_path: None,
            health_path: UrlPath::fixed("/healthz"),
            admin: AdminConfig::default(),
            nats: NatsConfig::default(),
            log: LogConfig::default(),
            sources: Vec::new(),
            webhook: None,
            body_limit: 1024 * 1024,
            max_buffered: 16 * 1024 * 1024,
            request_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(5),
            max_connections: 1024,
            publish: PublishConfig::default(),
            outgoing: OutgoingConfig::default(),
            shutdown: ShutdownConfig::default(),
        }
    }
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self {
            drain_delay: Duration::from_secs(5),
            grace: Duration::from_secs(25),
        }
    }
}

impl IngressConfig {
    /// Reads the file, if there is one, and the environment over it.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut config: Self = config::load(file)?;
        config.webhook = WebhookConfig::from(|name| std::env::var(name).ok())?;
        config.check()?;
        Ok(config)
    }

    /// What belongs together, without looking at a secret.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refuse = |problem: String| Err(ConfigError::Invalid(problem));
        if self.sources.is_empty() && self.webhook.is_none() {
            return refuse(
                "nobody could send an event: add an entry to `sources`, or set BASIC_AUTH_USER and BASIC_AUTH_PASSWORD in the environment for POST /webhook".to_owned(),
            );
        }
        for (setting, value) in [
            ("body_limit", self.body_limit),
            ("max_buffered", self.max_buffered),
            ("max_connections", self.max_connections),
        ] {
            if value == 0 {
                return refuse(format!(
                    "`{setting}` is 0: no request could be taken; remove it for the default"
                ));
            }
        }
        if self.max_buffered < self.body_limit {
            return refuse(format!(
                "`max_buffered` ({}) is below `body_limit` ({}): raise it or lower the other",
                self.max_buffered, self.body_limit
            ));
        }
        for source in &self.sources {
            if self.webhook.is_some() && source.name.as_str() == "webhook" {
                return refuse(
                    "source `webhook` has the name of the drop-in that BASIC_AUTH_USER and BASIC_AUTH_PASSWORD switch on, and their events could not be told apart: give it another `name`, or unset both variables".to_owned(),
                );
            }
            let limits = source.limits.check(self.body_limit);
            limits.map_err(|problem| source.problem(&problem))?;
        }
        self.paths().check()?;
        self.publish.check().or_else(refuse)?;
        for source in &self.sources {
            let deadline = source.check_deadline(self.publish.deadline);
            deadline.map_err(|problem| source.problem(&problem))?;
        }
        self.tls.files()?;
        let needs_client_ca = |source: &&SourceConfig| source.auth.needs_client_ca();
        if self.tls.client_ca_file.is_none()
            && let Some(source) = self.sources.iter().find(needs_client_ca)
        {
            return refuse(format!(
                "source `{}`: auth.mtls needs `tls.client_ca_file`: name the file of the CA that signs the client certificates, with `tls.cert_file` and `tls.key_file`",
                source.name
            ));
        }
        if self.shutdown.grace <= self.shutdown.drain_delay {
            return refuse(
                "`shutdown.grace` includes `shutdown.drain_delay`: make it longer".to_owned(),
            );
        }
        Ok(())
    }

    /// Reads the secrets of every source.
    pub fn open_sources(&self, outgoing: &Outgoing) -> Result<BTreeMap<Slug, Source>, ConfigError> {
        let mut sources = BTreeMap::new();
        for config in &self.sources {
            let mut source = config.open(outgoing)?;
            source.limits = config.limits.open(&self.body_limits());
            source.deadline = source.deadline.map(|by| by.min(self.publish.deadline));
            if sources.insert(config.name.clone(), source).is_some() {
                return Err(ConfigError::Invalid(format!(
                    "source `{}` is there twice: give each its own `name`",
                    config.name
                )));
            }
        }
        Ok(sources)
    }

    /// The drop-in, if it is on.
    pub fn open_webhook(&self) -> Option<Source> {
        self.webhook.as_ref().map(|webhook| {
            let mut source = webhook.open();
            source.limits = LimitsConfig::default().open(&self.body_limits());
            source
        })
    }

    /// Reads the certificates. `None`: the public port is plain HTTP.
    pub fn open_tls(&self) -> Result<Option<Tls>, ConfigError> {
        self.tls.files()?.map(Tls::open).transpose()
    }

    pub(crate) fn paths(&self) -> Paths {
        Paths {
            base: self.base_path.clone().unwrap_or_default(),
            health: self.health_path.clone(),
        }
    }

    pub(crate) fn body_limits(&self) -> body::Limits {
        body::Limits {
            body: self.body_limit,
            total: self.max_buffered,
            time: self.request_timeout,
        }
    }

    pub(crate) fn server_limits(&self) -> server::Limits {
        server::Limits {
            connections: self.max_connections,
            header_timeout: self.header_timeout,
        }
    }
}

#[cfg(test)]
mod tests;
