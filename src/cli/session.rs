//! What every command needs: a connection, a clock, a way to answer.

use std::{fmt::Display, time::Duration};

use async_nats::jetstream::Context;
use eso_relay::{
    config::{self, ConfigError},
    nats::{self, NatsConfig},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Global, Output};

/// For the connection, and for each answer of the server.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Session {
    global: Global,
    clock: fn() -> Timestamp,
}

/// The one section of a daemon's file that the command line reads.
#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    nats: NatsConfig,
}

impl Session {
    pub(super) fn new(global: Global, clock: fn() -> Timestamp) -> Self {
        Self { global, clock }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(super) fn global(&self) -> &Global {
        &self.global
    }

    pub(super) fn output(&self) -> Output {
        self.global.output
    }

    /// The user of NATS, where the configuration names one.
    pub(super) fn user(&self) -> Option<String> {
        self.nats().ok()?.user
    }

    fn nats(&self) -> Result<NatsConfig, ConfigError> {
        let Settings { nats } = config::load(self.global.config.as_deref())?;
        Ok(nats)
    }

    pub(super) async fn jetstream(&self) -> anyhow::Result<Context> {
        let mut nats = self.nats()?;
        if let Some(url) = &self.global.nats {
            nats.url.clone_from(url);
        }
        let client = nats::connect_once(&nats, "eso-relay CLI", PATIENCE).await?;
        Ok(nats.jetstream(client, PATIENCE))
    }

    /// The answer of the command, on standard output.
    pub(super) fn print(&self, report: &(impl Serialize + Display)) -> anyhow::Result<()> {
        self.output().print(report)
    }
}
