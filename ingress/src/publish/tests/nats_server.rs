//! A real nats-server on a port of its own, for the tests beside this file.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
};

pub(super) struct NatsServer {
    dir: PathBuf,
    port: u16,
    process: Child,
}

impl NatsServer {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let dir = std::env::temp_dir().join(format!("publish-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {:?}, sync_interval: always }}\n",
            dir.join("store")
        );
        std::fs::write(dir.join("nats.conf"), config)?;
        let process = spawn(&dir)?;
        let server = Self { dir, port, process };
        server.greeting().await?;
        Ok(server)
    }

    pub(super) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(super) fn kill9(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    pub(super) async fn start_again(&mut self) -> anyhow::Result<()> {
        self.process = spawn(&self.dir)?;
        self.greeting().await
    }

    /// The server's first line, once it accepts clients.
    async fn greeting(&self) -> anyhow::Result<()> {
        for _ in 0..1000 {
            if let Ok(connection) = TcpStream::connect(("127.0.0.1", self.port)).await {
                let mut line = String::new();
                if BufReader::new(connection).read_line(&mut line).await? > 0 {
                    return Ok(());
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("nats-server does not answer; see {}", self.dir.display())
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill9().ok();
        std::fs::remove_dir_all(&self.dir).ok();
    }
}

fn spawn(dir: &std::path::Path) -> anyhow::Result<Child> {
    let program = std::env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned());
    let log = std::fs::File::create(dir.join("log"))?;
    let mut command = Command::new(program);
    command.arg("--config").arg(dir.join("nats.conf"));
    Ok(command.stdout(Stdio::null()).stderr(log).spawn()?)
}
