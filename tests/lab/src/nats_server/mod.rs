//! A real nats-server with `JetStream`, as a process that tests may kill, hang and restart.

mod disk;
mod obtain;
mod options;
mod trio;

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
};

use self::disk::SmallDisk;
pub use self::{disk::small_disks, obtain::obtain, options::NatsOptions};
use crate::{port, process::Process, wait};

/// How long a start may take; a server that recovers a large stream reads all of it first.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(5);
const ATTEMPTS: usize = 5;

/// A server on a port of its own, kept for its whole life: clients find it again after a restart.
/// Dropping it kills it and removes what it stored.
pub struct NatsServer {
    program: PathBuf,
    dir: TempDir,
    port: u16,
    monitor_port: u16,
    /// None between a stop and the next start.
    process: Option<Process>,
    /// What its store is on, where that is a disk of its own.
    disk: Option<SmallDisk>,
}

impl NatsServer {
    /// Starts a server with the options' defaults.
    pub async fn start() -> anyhow::Result<Self> {
        NatsOptions::default().start().await
    }

    /// What can be chosen before the start.
    pub fn builder() -> NatsOptions {
        NatsOptions::default()
    }

    async fn with_options(options: &NatsOptions) -> anyhow::Result<Self> {
        let program = obtain().await?;
        let mut attempt = 1;
        loop {
            let mut server = Self {
                program: program.clone(),
                dir: tempfile::Builder::new().prefix("nats-").tempdir()?,
                port: port::free()?,
                monitor_port: port::free()?,
                process: None,
                disk: None,
            };
            if let Some(size) = options.disk_size() {
                let store = NatsOptions::store(server.dir.path());
                std::fs::create_dir(&store)?;
                server.disk = Some(SmallDisk::mount(&store, size).await?);
            }
            let config = options.config(server.port, server.monitor_port, server.dir.path());
            std::fs::write(server.dir.path().join("nats.conf"), config)?;
            match server.run().await {
                Ok(()) => return Ok(server),
                Err(_) if attempt < ATTEMPTS && port::was_taken(&server.log()) => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// `nats://127.0.0.1:PORT`, without credentials.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where it answers `/varz`, `/jsz`, `/connz` and `/healthz`.
    pub fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitor_port)
    }

    /// All that it has logged, over all of its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The file of [`NatsServer::log`].
    pub fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// What `/healthz` answers now: all streams and durables are there and up to date.
    ///
    /// # Errors
    /// They are not: its words.
    pub async fn healthz(&self) -> anyhow::Result<()> {
        eso_relay::nats::install_crypto();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER)
            .build()?;
        let url = format!("{}/healthz", self.monitor_url());
        let answer = client.get(url).send().await?;
        let (status, said) = (answer.status(), answer.text().await?);
        anyhow::ensure!(status.is_success(), "{status}: {said}");
        Ok(())
    }

    /// Waits for [`NatsServer::healthz`].
    pub async fn wait_healthy(&self, deadline: Duration) -> anyhow::Result<()> {
        wait::until_ok("a healthy nats-server", deadline, || self.healthz()).await
    }

    /// Fills its disk, which [`NatsOptions::small_disk`] gave it.
    pub fn fill_disk(&self) -> anyhow::Result<()> {
        self.small_disk()?.fill()
    }

    /// Frees what [`NatsServer::fill_disk`] took.
    pub fn free_disk(&self) -> anyhow::Result<()> {
        self.small_disk()?.free()
    }

    fn small_disk(&self) -> anyhow::Result<&SmallDisk> {
        self.disk.as_ref().context("it has no disk of its own")
    }

    /// SIGKILL: what was not yet written by the server is lost, as in a crash of the process.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        self.running()?.kill9()?;
        self.process = None;
        Ok(())
    }

    /// SIGTERM, and waits until it has ended.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let process = self.running()?;
        process.terminate()?;
        process.wait_exit(STOP).await?;
        self.process = None;
        Ok(())
    }

    /// Starts it again after [`NatsServer::kill9`] or [`NatsServer::stop`]: same port, same streams.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.process.is_none(), "nats-server is running");
        self.run().await
    }

    /// Stops it in order and starts it again.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop().await?;
        self.start_again().await
    }

    /// SIGSTOP: connections stay open and nothing answers, as behind a broken network.
    pub fn pause(&mut self) -> anyhow::Result<()> {
        self.running()?.pause()
    }

    /// Lets it go on after [`NatsServer::pause`].
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.running()?.resume()
    }

    fn running(&mut self) -> anyhow::Result<&mut Process> {
        self.process.as_mut().context("nats-server is stopped")
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        let mut command = match &self.disk {
            Some(disk) => disk.command(&self.program),
            None => Command::new(&self.program),
        };
        command
            .arg("--config")
            .arg(self.dir.path().join("nats.conf"));
        let log = self.log_path();
        let mut process = Process::spawn("nats-server", &mut command, &log)?;
        let port = self.port;
        process
            .wait_until("its greeting", START, async || greeting(port).await)
            .await?;
        self.process = Some(process);
        Ok(())
    }
}

/// The server sends INFO first of all, once it has recovered its streams and accepts clients.
async fn greeting(port: u16) -> anyhow::Result<()> {
    let mut line = String::new();
    let connection = TcpStream::connect(("127.0.0.1", port)).await?;
    BufReader::new(connection).read_line(&mut line).await?;
    anyhow::ensure!(line.starts_with("INFO "), "it says {line:?}");
    Ok(())
}

#[cfg(test)]
mod tests;
