//! `ingress.yaml`, with the environment over it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use eso_relay::{
    Slug,
    admin::AdminConfig,
    config::{self, ConfigError, duration},
    nats::NatsConfig,
    telemetry::{LogConfig, spans},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    akeyless_trigger::AkeylessTriggerConfig,
    body::BodyLimits,
    client::Network,
    limit::LimitsConfig,
    listen::Listen,
    outgoing::{Outgoing, OutgoingConfig},
    paths::{Paths, UrlPath},
    poll::{self, Poll, PollConfig},
    publish::PublishConfig,
    server::ConnectionLimits,
    source::{Source, SourceConfig},
    tls::{Tls, TlsConfig},
};

/// Room for the most elements of one body, of some 400 bytes each.
const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// The default of earlier versions: settings that were valid with it stay valid.
const LEAST_BODY_LIMIT: usize = 1024 * 1024;

/// The configuration of the ingress.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IngressConfig {
    /// Default `0.0.0.0:8080`: the public port, plain HTTP unless `tls` is set. `none`: no public port, for an ingress
    /// that has `polls` alone.
    pub listen: Listen,
    pub tls: TlsConfig,
    /// Default none: a prefix of every path that a proxy does not strip, such as `/eso-relay`. The paths work
    /// with it and without it.
    pub base_path: Option<UrlPath>,
    /// Default `/healthz`: answers the health checks of load balancers on `listen`; empty: nothing does.
    pub health_path: UrlPath,
    pub admin: AdminConfig,
    pub nats: NatsConfig,
    pub log: LogConfig,
    pub trace: spans::TraceConfig,
    pub sources: Vec<SourceConfig>,
    /// Stores that are polled: sources without HTTP.
    pub polls: Vec<PollConfig>,
    /// From `BASIC_AUTH_USER` and `BASIC_AUTH_PASSWORD` in the environment only.
    #[serde(skip_deserializing)]
    #[schemars(skip)]
    pub webhook: Option<AkeylessTriggerConfig>,
    /// Default 4 MiB, enough for 10,000 events of a forwarder, or less if another setting is lower: the largest
    /// body, in bytes.
    pub body_limit: Option<usize>,
    /// Default 16 MiB: the bytes that all bodies hold together. More are answered 503.
    pub max_buffered: usize,
    /// Default a quarter of `max_buffered`, but at least `body_limit`: the part of it for bodies whose
    /// signature is not verified yet. At the limit the oldest arriving body of the client that holds most bytes
    /// is dropped.
    pub max_unverified: Option<usize>,
    /// Default `10s`: for a body to arrive.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    pub request_timeout: Duration,
    /// Default `5s`: from the first byte of a request to the end of its headers, and for a TLS
    /// handshake.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    pub header_timeout: Duration,
    /// Default `620s`: how long a connection may wait for its next request. Keep it above the time
    /// for which a load balancer in front keeps its connections, or webhooks meet connections that
    /// have just been closed: 600 s at Google Cloud, 350 s at AWS NLB, 60 s at AWS ALB.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    pub idle_timeout: Duration,
    /// Default `10s`: a connection is closed if its client reads nothing of its answers for this long.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    pub write_timeout: Duration,
    /// Default 1024. At the limit the connection that has been idle longest is closed for a new one; those on
    /// which no request was accepted go first.
    pub max_connections: usize,
    /// Default three quarters of `max_connections`: those of one address (for IPv6: one /64) that is not one of
    /// `trusted_proxies`. At the limit its own longest idle one is closed.
    pub max_connections_per_peer: Option<usize>,
    /// Default `1h`: an older connection closes with its next answer.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    pub max_connection_age: Duration,
    /// Default 10000: a connection closes after this many requests.
    pub max_connection_requests: u32,
    /// Default none: the networks, such as `10.0.0.0/8`, of load balancers and proxies. They have no limit of
    /// their own on connections, and their `X-Forwarded-For`, or without one their `Forwarded`, is trusted to
    /// name the client.
    pub trusted_proxies: Vec<Network>,
    pub publish: PublishConfig,
    pub outgoing: OutgoingConfig,
    pub shutdown: ShutdownConfig,
}

/// How the ingress shuts down. Keep `terminationGracePeriodSeconds` above `grace`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShutdownConfig {
    /// Default `5s`: still serving, no longer ready, until load balancers have noticed.
    #[serde(with = "duration::or_zero")]
    #[schemars(with = "duration::Written")]
    pub drain_delay: Duration,
    /// Default `25s`: for the whole shutdown, the drain delay included.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Written")]
    pub grace: Duration,
}

impl Default for IngressConfig {
    fn default() -> Self {
        Self {
            listen: Listen::At(([0, 0, 0, 0], 8080).into()),
            tls: TlsConfig::default(),
            base_path: None,
            health_path: UrlPath::fixed("/healthz"),
            admin: AdminConfig::default(),
            nats: NatsConfig::default(),
            log: LogConfig::default(),
            trace: spans::TraceConfig::default(),
            sources: Vec::new(),
            polls: Vec::new(),
            webhook: None,
            body_limit: None,
            max_buffered: 16 * 1024 * 1024,
            max_unverified: None,
            request_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(620),
            write_timeout: Duration::from_secs(10),
            max_connections: 1024,
            max_connections_per_peer: None,
            max_connection_age: Duration::from_secs(3600),
            max_connection_requests: 10_000,
            trusted_proxies: Vec::new(),
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
        config.webhook = AkeylessTriggerConfig::from(|name| std::env::var(name).ok())?;
        if config.listen == Listen::None && config.polls.is_empty() {
            let poll = PollConfig::from(|name| std::env::var(name).ok())?;
            config.polls.extend(poll);
        }
        config.trace.complete(|name| std::env::var(name).ok());
        config.check()?;
        Ok(config)
    }

    /// Checks settings that depend on each other; reads no secret.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refuse = |problem: String| Err(ConfigError::Invalid(problem));
        self.check_senders()?;
        self.check_limits()?;
        self.trace.check()?;
        for source in &self.sources {
            if self.webhook.is_some() && source.name.as_str() == "webhook" {
                return refuse(
                    "source `webhook` has the name of the drop-in that BASIC_AUTH_USER and BASIC_AUTH_PASSWORD switch on, and their events could not be told apart: give it another `name`, or unset both variables".to_owned(),
                );
            }
            let limits = source.limits.check(self.body_limit());
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

    /// Checks that there is a source, and that no two have one name.
    fn check_senders(&self) -> Result<(), ConfigError> {
        let refuse = |problem: String| Err(ConfigError::Invalid(problem));
        let has_requests = !self.sources.is_empty() || self.webhook.is_some();
        match (self.listen, has_requests) {
            (Listen::At(_), false) if !self.polls.is_empty() => {
                return refuse("no source is configured, only `polls`: set `listen: none`, so that no port is open for nothing, or add an entry to `sources`".to_owned());
            }
            (Listen::At(_), false) => {
                return refuse(
                    "no source is configured: add an entry to `sources`, or set BASIC_AUTH_USER and BASIC_AUTH_PASSWORD in the environment for POST /webhook".to_owned(),
                );
            }
            (Listen::None, true) => {
                return refuse("`listen: none` leaves sources without a port: give it an address, or remove `sources` and BASIC_AUTH_USER".to_owned());
            }
            (Listen::None, false) if self.polls.is_empty() => {
                return refuse(
                    "`listen: none`, and nothing to poll: add an entry to `polls`".to_owned(),
                );
            }
            _ => {}
        }
        let sources = self.sources.iter().map(|source| &source.name);
        let mut names: BTreeSet<&str> = sources.map(Slug::as_str).collect();
        if self.webhook.is_some() {
            names.insert("webhook");
        }
        for poll in &self.polls {
            poll.check()?;
            if !names.insert(poll.name.as_str()) {
                return Err(poll.problem("another source or poll has this name, and their events could not be told apart: give each its own `name`"));
            }
        }
        Ok(())
    }

    /// Checks that each limit allows requests, and that the limits agree.
    fn check_limits(&self) -> Result<(), ConfigError> {
        let refuse = |problem: String| Err(ConfigError::Invalid(problem));
        let requests = usize::try_from(self.max_connection_requests).unwrap_or(usize::MAX);
        for (setting, value) in [
            ("body_limit", self.body_limit()),
            ("max_buffered", self.max_buffered),
            ("max_connections", self.max_connections),
            (
                "max_connections_per_peer",
                self.max_connections_per_peer.unwrap_or(1),
            ),
            ("max_connection_requests", requests),
        ] {
            if value == 0 {
                return refuse(format!(
                    "`{setting}` is 0: no request would be accepted; remove it for the default"
                ));
            }
        }
        for (setting, value) in [
            ("max_buffered", Some(self.max_buffered)),
            ("max_unverified", self.max_unverified),
        ] {
            if let Some(value) = value.filter(|&value| value < self.body_limit()) {
                return refuse(format!(
                    "`{setting}` ({value}) is below `body_limit` ({}): raise it or lower the other",
                    self.body_limit()
                ));
            }
        }
        if let Some(unverified) = self.max_unverified
            && unverified > self.max_buffered
        {
            return refuse(format!(
                "`max_unverified` ({unverified}) is above `max_buffered` ({}), of which it is a part: lower it or raise the other",
                self.max_buffered
            ));
        }
        if let Some(per_peer) = self.max_connections_per_peer
            && per_peer > self.max_connections
        {
            return refuse(format!(
                "`max_connections_per_peer` ({per_peer}) is above `max_connections` ({}): lower it or raise the other",
                self.max_connections
            ));
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
                    "source `{}` is configured twice: give each its own `name`",
                    config.name
                )));
            }
        }
        Ok(sources)
    }

    /// Reads the files of every poll.
    pub(crate) fn open_polls(
        &self,
        metrics: &poll::Metrics,
        tracer: &spans::Tracer,
    ) -> Result<Vec<Poll>, ConfigError> {
        let polls = self.polls.iter();
        polls
            .map(|poll| Poll::open(poll, metrics, tracer))
            .collect()
    }

    /// The source of `POST /webhook`, if it is enabled.
    pub fn open_akeyless_trigger(&self) -> Option<Source> {
        self.webhook.as_ref().map(|trigger| {
            let mut source = trigger.open();
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

    /// The setting, or a default that agrees with the other limits.
    fn body_limit(&self) -> usize {
        self.body_limit.unwrap_or_else(|| {
            let rooms = self.sources.iter().map(|source| source.limits.buffered);
            let bounds = rooms.chain([Some(self.max_buffered), self.max_unverified]);
            let least = bounds.flatten().fold(BODY_LIMIT, usize::min);
            least.max(LEAST_BODY_LIMIT)
        })
    }

    pub(crate) fn body_limits(&self) -> BodyLimits {
        BodyLimits {
            body: self.body_limit(),
            total: self.max_buffered,
            unverified: self
                .max_unverified
                .unwrap_or_else(|| self.body_limit().max(self.max_buffered / 4)),
            time: self.request_timeout,
        }
    }

    pub(crate) fn connection_limits(&self) -> ConnectionLimits {
        ConnectionLimits {
            connections: self.max_connections,
            per_peer: self
                .max_connections_per_peer
                .unwrap_or_else(|| three_quarters(self.max_connections)),
            header: self.header_timeout,
            idle: self.idle_timeout,
            write: self.write_timeout,
            age: self.max_connection_age,
            requests: self.max_connection_requests,
            trusted_proxies: self.trusted_proxies.clone().into(),
        }
    }
}

fn three_quarters(of: usize) -> usize {
    (of - of / 4).max(1)
}

#[cfg(test)]
mod tests;
