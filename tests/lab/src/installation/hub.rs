//! NATS with the streams on it, and the ingress in front of it.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use async_nats::jetstream;
use tempfile::TempDir;

use super::webhook::{BASIC_PASSWORD, BASIC_USER, BEARER_TOKEN, HMAC_SECRET};
use crate::{
    daemon::{Binary, Daemon, DaemonOptions},
    nats_server::NatsServer,
};

/// The centre that all clusters share.
pub struct Hub {
    /// The server; of three, the first.
    pub nats: NatsServer,
    /// The others of a cluster.
    pub peers: Vec<NatsServer>,
    secrets: TempDir,
}

/// What a run of the command line gave.
#[derive(Debug)]
pub struct CliOutput {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Hub {
    /// A nats-server that syncs before each PubAck; without streams as yet.
    pub async fn start() -> anyhow::Result<Self> {
        let nats = NatsServer::builder().sync_always().start().await?;
        Self::on(nats, Vec::new())
    }

    /// On servers that run already, without streams as yet.
    pub fn on(nats: NatsServer, peers: Vec<NatsServer>) -> anyhow::Result<Self> {
        let secrets = tempfile::Builder::new()
            .prefix("eso-relay-secrets-")
            .tempdir()?;
        for (name, secret) in [
            ("password", BASIC_PASSWORD),
            ("token", BEARER_TOKEN),
            ("hmac", HMAC_SECRET),
        ] {
            std::fs::write(secrets.path().join(name), secret)?;
        }
        Ok(Self {
            nats,
            peers,
            secrets,
        })
    }

    /// All of its servers.
    pub fn servers(&self) -> impl Iterator<Item = &NatsServer> {
        std::iter::once(&self.nats).chain(&self.peers)
    }

    /// The same, to be killed and started again.
    pub fn servers_mut(&mut self) -> impl Iterator<Item = &mut NatsServer> {
        std::iter::once(&mut self.nats).chain(&mut self.peers)
    }

    /// Where clients find them: the setting `nats.url`.
    pub fn url(&self) -> String {
        let urls: Vec<String> = self.servers().map(NatsServer::url).collect();
        urls.join(",")
    }

    /// The command line, for real.
    pub async fn cli(&self, args: &[&str]) -> anyhow::Result<CliOutput> {
        let output = tokio::process::Command::new(Binary::Cli.path().await?)
            .args(["--nats", &self.url()])
            .args(args)
            .env_remove("ESO_RELAY__NATS__URL")
            .stdin(Stdio::null())
            .output()
            .await?;
        Ok(CliOutput {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// `eso-relay init` for these clusters.
    pub async fn init(&self, clusters: &[&str]) -> anyhow::Result<()> {
        self.init_with(&[], clusters).await
    }

    /// The same, with more arguments.
    pub async fn init_with(&self, more: &[&str], clusters: &[&str]) -> anyhow::Result<()> {
        let mut args = [&["init"], more].concat();
        args.extend(clusters.iter().flat_map(|cluster| ["--cluster", cluster]));
        let output = self.cli(&args).await?;
        ensure!(output.code == 0, "eso-relay init: {output:?}");
        Ok(())
    }

    /// A connection of the caller's own, with its JetStream API.
    pub async fn jetstream(&self) -> anyhow::Result<jetstream::Context> {
        let urls: Vec<String> = self.servers().map(NatsServer::url).collect();
        let client = async_nats::connect(urls).await.context("the hub's NATS")?;
        Ok(jetstream::new(client))
    }

    /// The ingress, not started yet, with a source for each scheme and format of [`super::Webhooks`].
    pub fn ingress(&self) -> DaemonOptions {
        self.ingress_with("")
    }

    /// The same, with more YAML at the top level of its configuration.
    pub fn ingress_with(&self, more: &str) -> DaemonOptions {
        let secret = |name: &str| self.secrets.path().join(name).display().to_string();
        let (password, token, hmac) = (secret("password"), secret("token"), secret("hmac"));
        let yaml = format!(
            "nats: {{ url: '{}' }}\n\
             shutdown: {{ drain_delay: 0s, grace: 20s }}\n\
             sources:\n\
             - {{ name: akeyless, format: akeyless, auth: {{ basic: {{ username: {BASIC_USER}, password_file: '{password}' }} }} }}\n\
             - {{ name: cloudevents, format: cloudevents, auth: {{ bearer: {{ token_file: '{token}' }} }} }}\n\
             - name: generic\n  \
               format: generic\n  \
               auth: {{ hmac-sha256: {{ header: x-signature, prefix: 'sha256=', encoding: hex, secret_file: '{hmac}' }} }}\n  \
               {GENERIC_MAPPING}\n\
             {more}",
            self.url(),
        );
        Daemon::ingress()
            .config(yaml)
            .env("BASIC_AUTH_USER", BASIC_USER)
            .env("BASIC_AUTH_PASSWORD", BASIC_PASSWORD)
    }

    /// The directory of the credentials that the ingress reads: `password`, `token`, `hmac`.
    pub fn secrets(&self) -> &std::path::Path {
        self.secrets.path()
    }
}

/// Where the generic source finds what it needs.
const GENERIC_MAPPING: &str = "mapping: { keys: /secret/name, id: /id, type: /type, time: /time }";
