//! The real daemons as processes: where a test lets a process die, it is one.

mod binaries;
mod metrics;
mod options;

use std::{
    ops::{Deref, DerefMut},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use reqwest::StatusCode;
use tempfile::TempDir;

pub use self::{binaries::Binary, metrics::Metrics, options::DaemonOptions};
use crate::{port, process::Process, wait};

const START: Duration = Duration::from_secs(30);
/// A running ingress or consumer on ports of its own. Dropping it kills it.
pub struct Daemon {
    port: u16,
    admin_port: u16,
    client: reqwest::Client,
    process: Process,
    _dir: TempDir,
}

impl Deref for Daemon {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Daemon {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Daemon {
    /// The ingress, not started yet.
    pub fn ingress() -> DaemonOptions {
        DaemonOptions::new(Binary::Ingress)
    }

    /// The consumer, not started yet.
    pub fn consumer() -> DaemonOptions {
        DaemonOptions::new(Binary::Consumer)
    }

    async fn with_options(options: DaemonOptions) -> anyhow::Result<Self> {
        let program = options.binary.path().await?;
        port::start(|| Self::start_in(tempfile::tempdir(), &program, &options)).await
    }

    async fn start_in(
        dir: std::io::Result<TempDir>,
        program: &Path,
        options: &DaemonOptions,
    ) -> anyhow::Result<Self> {
        let (dir, port, admin_port) = (dir?, port::free()?, port::free()?);
        let mut command = Command::new(program);
        // Settings of the user who runs the tests must not leak into them.
        for (name, _) in std::env::vars_os() {
            let ours = name.to_string_lossy();
            let prefixes = ["ESO_RELAY__", "BASIC_AUTH_", "OTEL_"];
            if prefixes.iter().any(|prefix| ours.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        if let Some(config) = &options.config {
            let file = dir.path().join("config.yaml");
            std::fs::write(&file, config)?;
            command.arg("--config").arg(file);
        }
        let address = |port| format!("127.0.0.1:{port}");
        if options.binary == Binary::Ingress {
            command.env("ESO_RELAY__LISTEN", address(port));
        }
        command
            .args(&options.args)
            .env("ESO_RELAY__ADMIN__LISTEN", address(admin_port))
            .envs(options.env.iter().map(|(name, value)| (name, value)));
        let log = dir.path().join("log");
        let mut daemon = Self {
            port,
            admin_port,
            client: port::client()?,
            process: Process::spawn(options.binary.name(), command, &log)?,
            _dir: dir,
        };
        daemon.wait_for("livez", START).await?;
        Ok(daemon)
    }

    /// Starts the same again, with the same configuration on the same ports, after it has ended.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.process.start_again()?;
        self.wait_for("livez", START).await
    }

    /// Where the ingress takes webhooks, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        port::url(self.port)
    }

    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub fn admin_url(&self) -> String {
        port::url(self.admin_port)
    }

    /// What `/readyz` answers now: its status and its lines.
    pub async fn readyz(&self) -> anyhow::Result<(StatusCode, String)> {
        let answer = self
            .client
            .get(format!("{}/readyz", self.admin_url()))
            .send()
            .await?;
        Ok((answer.status(), answer.text().await?))
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Errors
    /// It ended, or is not ready after `deadline`: the error holds what is missing and its log.
    pub async fn wait_ready(&mut self, deadline: Duration) -> anyhow::Result<()> {
        self.wait_for("readyz", deadline).await
    }

    async fn wait_for(&mut self, path: &str, deadline: Duration) -> anyhow::Result<()> {
        let url = format!("{}/{path}", self.admin_url());
        let yes = || port::get(&self.client, &url);
        self.process.wait_until(path, deadline, yes).await.map(drop)
    }

    /// Reads `/metrics`.
    pub async fn metrics(&self) -> anyhow::Result<Metrics> {
        Metrics::parse(&self.metrics_text().await?)
    }

    /// `/metrics` as it is written.
    pub async fn metrics_text(&self) -> anyhow::Result<String> {
        let url = format!("{}/metrics", self.admin_url());
        port::get(&self.client, &url).await
    }

    /// One metric: [`Metrics::sum`] of a fresh reading.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> anyhow::Result<f64> {
        self.metrics().await?.sum(name, labels)
    }

    /// A metric that counts.
    pub async fn count(&self, name: &str, labels: &[(&str, &str)]) -> anyhow::Result<u64> {
        let value = self.metric(name, labels).await?;
        ensure!(value.fract() == 0.0 && value >= 0.0, "{name} is {value}");
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole and not negative"
        )]
        Ok(value as u64)
    }

    /// All that it has written, over all of its starts.
    pub fn logs(&self) -> String {
        self.process.log()
    }

    /// Waits until a line of the log contains `text`, and returns the line.
    pub async fn wait_log(&self, text: &str, deadline: Duration) -> anyhow::Result<String> {
        let line = || {
            let log = self.logs();
            let line = log.lines().find(|line| line.contains(text));
            std::future::ready(line.map(str::to_owned))
        };
        wait::until(format!("{text:?} in the log"), deadline, line)
            .await
            .with_context(|| format!("the log:\n{}", self.logs()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::binaries::Output;

    #[test]
    fn the_build_inside_a_test_is_the_same_as_one_outside() {
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let cargo = super::binaries::cargo();
        for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME"] {
            let removed = cargo.get_envs().any(|(it, to)| it == name && to.is_none());
            assert!(removed, "{name} would reach the build scripts");
        }
    }

    #[test]
    fn the_daemons_are_built_where_and_how_the_running_program_was() {
        let of = |program: &str| {
            let output = Output::of(Path::new(program)).unwrap();
            (output.target_dir.display().to_string(), output.profile)
        };
        let dev = ("/t".to_owned(), "dev".to_owned());
        assert_eq!(of("/t/debug/deps/it-01ab"), dev);
        assert_eq!(of("/t/debug/demo"), dev);
        assert_eq!(of("/t/release/load"), ("/t".into(), "release".into()));
        assert!(Output::of(Path::new("demo")).is_err());
    }
}
