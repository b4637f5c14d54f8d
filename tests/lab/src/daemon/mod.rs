//! The real daemons as processes: where a test lets a process die, it is one.

mod binaries;
mod metrics;
mod options;

use std::{
    process::{Command, ExitStatus},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use reqwest::StatusCode;
use tempfile::TempDir;

pub use self::{binaries::Binary, metrics::Metrics, options::DaemonOptions};
use crate::{port, process::Process, wait};

const START: Duration = Duration::from_secs(30);
const ATTEMPTS: usize = 5;

/// A running ingress or consumer on ports of its own. Dropping it kills it.
pub struct Daemon {
    options: DaemonOptions,
    program: std::path::PathBuf,
    port: u16,
    admin_port: u16,
    client: reqwest::Client,
    process: Process,
    dir: TempDir,
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
        eso_relay::nats::install_crypto();
        // Each answer on a connection of its own: a daemon that drains is not held up by ours.
        let client = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(10))
            .build()?;
        let mut attempt = 1;
        loop {
            let dir = tempfile::Builder::new().prefix("daemon-").tempdir()?;
            if let Some(config) = &options.config {
                std::fs::write(dir.path().join("config.yaml"), config)?;
            }
            let (port, admin_port) = (port::free()?, port::free()?);
            let mut command = command(&options, &program, &dir, port, admin_port);
            let log = dir.path().join("log");
            let process = Process::spawn(options.binary.name(), &mut command, &log)?;
            let mut daemon = Self {
                options: options.clone(),
                program: program.clone(),
                port,
                admin_port,
                client: client.clone(),
                process,
                dir,
            };
            match daemon.wait_alive().await {
                Ok(()) => return Ok(daemon),
                Err(_) if attempt < ATTEMPTS && port::was_taken(&daemon.logs()) => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts the same again, with the same configuration on the same ports, after it has ended.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        ensure!(
            self.process.exited().is_some(),
            "{} is running",
            self.options.binary.name()
        );
        let mut command = command(
            &self.options,
            &self.program,
            &self.dir,
            self.port,
            self.admin_port,
        );
        let log = self.log_path();
        self.process = Process::spawn(self.options.binary.name(), &mut command, &log)?;
        self.wait_alive().await
    }

    /// Where the ingress takes webhooks, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin_port)
    }

    /// The id of the process, to read its memory from the system.
    pub fn id(&self) -> u32 {
        self.process.id()
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
        let url = format!("{}/readyz", self.admin_url());
        let client = self.client.clone();
        let probe = || yes(&client, &url);
        self.process.wait_until("readiness", deadline, probe).await
    }

    /// Reads `/metrics`.
    pub async fn metrics(&self) -> anyhow::Result<Metrics> {
        let url = format!("{}/metrics", self.admin_url());
        let answer = self.client.get(url).send().await?.error_for_status()?;
        Metrics::parse(&answer.text().await?)
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

    /// The file of [`Daemon::logs`].
    pub fn log_path(&self) -> std::path::PathBuf {
        self.dir.path().join("log")
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

    /// SIGTERM: it finishes what it has accepted.
    pub fn terminate(&mut self) -> anyhow::Result<()> {
        self.process.terminate()
    }

    /// Waits until it has ended.
    pub async fn wait_exit(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        self.process.wait_exit(deadline).await
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        self.process.kill9()
    }

    /// SIGSTOP: it hangs with its connections open.
    pub fn pause(&mut self) -> anyhow::Result<()> {
        self.process.pause()
    }

    /// Lets it go on after [`Daemon::pause`].
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.process.resume()
    }

    async fn wait_alive(&mut self) -> anyhow::Result<()> {
        let url = format!("{}/livez", self.admin_url());
        let client = self.client.clone();
        let probe = || yes(&client, &url);
        self.process.wait_until("life", START, probe).await
    }
}

async fn yes(client: &reqwest::Client, url: &str) -> anyhow::Result<()> {
    let answer = client.get(url).send().await?;
    let status = answer.status();
    ensure!(status.is_success(), "{status}: {}", answer.text().await?);
    Ok(())
}

fn command(
    options: &DaemonOptions,
    program: &std::path::Path,
    dir: &TempDir,
    port: u16,
    admin_port: u16,
) -> Command {
    let mut command = Command::new(program);
    // Settings of the user who runs the tests must not leak into them.
    for (name, _) in std::env::vars_os() {
        let ours = name.to_string_lossy();
        if ours.starts_with("ESO_RELAY__") || ours.starts_with("BASIC_AUTH_") {
            command.env_remove(name);
        }
    }
    if options.config.is_some() {
        command.arg("--config").arg(dir.path().join("config.yaml"));
    }
    if options.binary == Binary::Ingress {
        command.env("ESO_RELAY__LISTEN", format!("127.0.0.1:{port}"));
    }
    command
        .args(&options.args)
        .env(
            "ESO_RELAY__ADMIN__LISTEN",
            format!("127.0.0.1:{admin_port}"),
        )
        .envs(options.env.iter().map(|(name, value)| (name, value)));
    command
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Binary, binaries::Output};

    #[tokio::test]
    async fn our_programs_are_built_and_run() {
        for binary in [Binary::Cli, Binary::Ingress, Binary::Consumer] {
            let path = binary.path().await.unwrap();
            assert!(path.is_file(), "{}", path.display());
        }
    }

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
