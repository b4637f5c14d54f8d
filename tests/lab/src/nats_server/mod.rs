//! A real nats-server with `JetStream`, as a process that tests may kill, hang and restart.

mod disk;
mod obtain;
mod options;

use std::{
    ops::{Deref, DerefMut},
    path::Path,
    process::Command,
    time::Duration,
};

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

const CONFIG: &str = "nats.conf";

/// A server on a port of its own, kept for its whole life: clients find it again after a restart.
/// Dropping it kills it and removes what it stored.
pub struct NatsServer {
    port: u16,
    monitor_port: u16,
    process: Process,
    /// What its store is on, where that is a disk of its own.
    disk: Option<SmallDisk>,
    options: NatsOptions,
    dir: TempDir,
}

impl Deref for NatsServer {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for NatsServer {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
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
        port::start(|| Self::start_in(tempfile::tempdir(), &program, options)).await
    }

    async fn start_in(
        dir: std::io::Result<TempDir>,
        program: &Path,
        options: &NatsOptions,
    ) -> anyhow::Result<Self> {
        let (dir, port, monitor_port) = (dir?, port::free()?, port::free()?);
        let (mut disk, mut command) = (None, Command::new(program));
        if let Some(size) = options.disk.as_deref() {
            let store = NatsOptions::store(dir.path());
            std::fs::create_dir(&store)?;
            let mounted = SmallDisk::mount(&store, size).await?;
            command = mounted.command(program);
            disk = Some(mounted);
        }
        let config = options.config(port, monitor_port, dir.path());
        let file = dir.path().join(CONFIG);
        std::fs::write(&file, config)?;
        command.arg("--config").arg(file);
        let mut server = Self {
            port,
            monitor_port,
            process: Process::spawn("nats-server", command, &dir.path().join("log"))?,
            disk,
            options: options.clone(),
            dir,
        };
        server.wait_greeting().await?;
        Ok(server)
    }

    async fn wait_greeting(&mut self) -> anyhow::Result<()> {
        let greets = || greeting(self.port);
        self.process.wait_until("its greeting", START, greets).await
    }

    /// `nats://127.0.0.1:PORT`, without credentials.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where it answers `/varz`, `/jsz`, `/connz` and `/healthz`.
    pub fn monitor_url(&self) -> String {
        port::url(self.monitor_port)
    }

    /// What `/healthz` answers now: all streams and durables are there and up to date.
    ///
    /// # Errors
    /// They are not: its words.
    pub async fn healthz(&self) -> anyhow::Result<()> {
        let url = format!("{}/healthz", self.monitor_url());
        port::get(&port::client()?, &url).await.map(drop)
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

    /// Other text in place of [`NatsOptions::config_text`]. It counts once it is read:
    /// [`Process::reload`], or [`NatsServer::stop`] and [`NatsServer::start_again`].
    pub fn reconfigure(&self, text: &str) -> anyhow::Result<()> {
        let options = self.options.with_only(text);
        let dir = self.dir.path();
        let config = options.config(self.port, self.monitor_port, dir);
        std::fs::write(dir.join(CONFIG), config)?;
        Ok(())
    }

    /// SIGTERM, and waits until it has ended.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.process.terminate()?;
        self.process.wait_exit(STOP).await.map(drop)
    }

    /// Starts it again after its end: same port, same streams.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.process.start_again()?;
        self.wait_greeting().await
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
