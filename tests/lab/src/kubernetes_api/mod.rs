//! A real Kubernetes API: etcd and kube-apiserver as processes, with ESO's kinds and nothing that
//! acts on them.

mod crds;
mod credentials;
mod programs;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use kube::{Client, Config, config::KubeConfigOptions};
use tempfile::TempDir;

use self::{credentials::Credentials, programs::Programs};
use crate::{port, process::Process};

const START: Duration = Duration::from_secs(120);
const ATTEMPTS: usize = 5;

/// An API server of its own, empty but for the kinds. Dropping it kills both processes and removes
/// what they stored.
///
/// There are no controllers: a deleted namespace stays, and there are no service accounts.
pub struct KubernetesApi {
    programs: Programs,
    credentials: Credentials,
    port: u16,
    etcd_port: u16,
    client: Client,
    // Dropped in this order: the server before its store, both before their directory.
    apiserver: Option<Process>,
    _etcd: Process,
    dir: TempDir,
}

impl KubernetesApi {
    /// Whether [`KubernetesApi::start`] takes seconds: the programs are there and need not be built.
    pub fn is_at_hand() -> bool {
        programs::at_hand()
    }

    /// Starts both and returns when the kinds are served: some three seconds, and minutes the first
    /// time when the programs must be built.
    ///
    /// # Errors
    /// The programs are not there and cannot be built; or one of them does not start: the error
    /// holds its log.
    pub async fn start() -> anyhow::Result<Self> {
        Self::with_definitions(&crds::directory()).await
    }

    /// As [`KubernetesApi::start`], with the kinds that the YAML files of a directory define.
    pub async fn with_definitions(definitions: &Path) -> anyhow::Result<Self> {
        let programs = programs::obtain().await?;
        let mut attempt = 1;
        loop {
            let dir = tempfile::Builder::new().prefix("kubernetes-").tempdir()?;
            let log = dir.path().join("log");
            match Self::start_in(dir.path(), &programs).await {
                Ok(started) => return started.finish(dir, definitions).await,
                Err(error) => {
                    let log = std::fs::read_to_string(log).unwrap_or_default();
                    if attempt == ATTEMPTS || !port::was_taken(&log) {
                        return Err(error);
                    }
                    attempt += 1;
                }
            }
        }
    }

    async fn start_in(dir: &Path, programs: &Programs) -> anyhow::Result<Started> {
        let credentials = Credentials::write(dir)?;
        let (etcd_port, port) = (port::free()?, port::free()?);
        let etcd = start_etcd(dir, programs, etcd_port)?;
        let apiserver = start_apiserver(dir, programs, &credentials, etcd_port, port).await?;
        Ok(Started {
            programs: programs.clone(),
            credentials,
            port,
            etcd_port,
            etcd,
            apiserver,
        })
    }

    /// A client that may do everything.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A client of a user who may do what RBAC allows; any name will do, for a service account
    /// `system:serviceaccount:NAMESPACE:NAME`.
    pub async fn client_as(&self, user: &str) -> anyhow::Result<Client> {
        client(self.dir.path(), &self.credentials, self.port, Some(user)).await
    }

    /// The administrator's kubeconfig, with the one context `lab`.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// Writes a kubeconfig for the user of [`KubernetesApi::client_as`].
    pub fn kubeconfig_as(&self, user: &str) -> anyhow::Result<PathBuf> {
        let path = self
            .dir
            .path()
            .join(format!("kubeconfig-{}", user.replace(['/', ':'], "-")));
        write_kubeconfig(
            &path,
            self.dir.path(),
            &self.credentials,
            self.port,
            Some(user),
        )?;
        Ok(path)
    }

    /// `https://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// SIGKILL for the API server; etcd keeps the objects.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        self.running()?.kill9()?;
        self.apiserver = None;
        Ok(())
    }

    /// Starts the API server again after [`KubernetesApi::kill9`]: same port, same objects, same
    /// credentials.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        ensure!(self.apiserver.is_none(), "kube-apiserver is running");
        let started = start_apiserver(
            self.dir.path(),
            &self.programs,
            &self.credentials,
            self.etcd_port,
            self.port,
        );
        self.apiserver = Some(started.await?);
        Ok(())
    }

    /// SIGSTOP: requests hang.
    pub fn pause(&mut self) -> anyhow::Result<()> {
        self.running()?.pause()
    }

    /// Lets it go on after [`KubernetesApi::pause`].
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.running()?.resume()
    }

    fn running(&mut self) -> anyhow::Result<&mut Process> {
        self.apiserver.as_mut().context("kube-apiserver is stopped")
    }
}

/// Both processes run; the kinds are not known yet.
struct Started {
    programs: Programs,
    credentials: Credentials,
    port: u16,
    etcd_port: u16,
    etcd: Process,
    apiserver: Process,
}

impl Started {
    async fn finish(self, dir: TempDir, definitions: &Path) -> anyhow::Result<KubernetesApi> {
        let client = client(dir.path(), &self.credentials, self.port, None).await?;
        crds::install(&client, definitions).await?;
        let path = dir.path().join("kubeconfig");
        write_kubeconfig(&path, dir.path(), &self.credentials, self.port, None)?;
        Ok(KubernetesApi {
            programs: self.programs,
            credentials: self.credentials,
            port: self.port,
            etcd_port: self.etcd_port,
            client,
            apiserver: Some(self.apiserver),
            _etcd: self.etcd,
            dir,
        })
    }
}

fn start_etcd(dir: &Path, programs: &Programs, port: u16) -> anyhow::Result<Process> {
    let peers = format!("http://127.0.0.1:{}", port::free()?);
    let clients = format!("http://127.0.0.1:{port}");
    let mut etcd = programs.etcd();
    etcd.args(["--unsafe-no-fsync", "--log-level=warn", "--name=lab"])
        .arg(format!("--data-dir={}", dir.join("etcd").display()))
        .arg(format!("--listen-client-urls={clients}"))
        .arg(format!("--advertise-client-urls={clients}"))
        .arg(format!("--listen-peer-urls={peers}"))
        .arg(format!("--initial-advertise-peer-urls={peers}"))
        .arg(format!("--initial-cluster=lab={peers}"));
    Process::spawn("etcd", &mut etcd, &dir.join("log"))
}

/// Returns when `/readyz` says yes.
async fn start_apiserver(
    dir: &Path,
    programs: &Programs,
    credentials: &Credentials,
    etcd_port: u16,
    port: u16,
) -> anyhow::Result<Process> {
    let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
    let mut command = programs.apiserver();
    command
        .arg(format!("--etcd-servers=http://127.0.0.1:{etcd_port}"))
        .arg(format!("--secure-port={port}"))
        .args(["--bind-address=127.0.0.1", "--authorization-mode=RBAC"])
        .args(["--disable-admission-plugins=ServiceAccount"])
        .args(["--service-cluster-ip-range=10.0.0.0/24"])
        .args(["--service-account-issuer=https://kubernetes.default.svc"])
        .arg(file(
            "service-account-signing-key-file",
            &credentials.signing_key,
        ))
        .arg(file("service-account-key-file", &credentials.public_key))
        .arg(file("token-auth-file", &credentials.tokens))
        .arg(file("cert-dir", dir));
    let mut apiserver = Process::spawn("kube-apiserver", &mut command, &dir.join("log"))?;
    let ready = || ready(dir, credentials, port);
    apiserver.wait_until("readiness", START, ready).await?;
    Ok(apiserver)
}

async fn ready(dir: &Path, credentials: &Credentials, port: u16) -> anyhow::Result<()> {
    let client = client(dir, credentials, port, None).await?;
    let request = http::Request::get("/readyz").body(Vec::new())?;
    client.request_text(request).await?;
    Ok(())
}

async fn client(
    dir: &Path,
    credentials: &Credentials,
    port: u16,
    user: Option<&str>,
) -> anyhow::Result<Client> {
    eso_relay::nats::install_crypto();
    let kubeconfig = credentials.kubeconfig(&url(port), &authority(dir)?, user)?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    Ok(Client::try_from(config)?)
}

fn write_kubeconfig(
    path: &Path,
    dir: &Path,
    credentials: &Credentials,
    port: u16,
    user: Option<&str>,
) -> anyhow::Result<()> {
    let kubeconfig = credentials.kubeconfig(&url(port), &authority(dir)?, user)?;
    // JSON is YAML too.
    std::fs::write(path, serde_json::to_vec_pretty(&kubeconfig)?)?;
    Ok(())
}

/// The certificate that kube-apiserver makes for itself, with the authority that signed it.
fn authority(dir: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(dir.join("apiserver.crt")).context("kube-apiserver has no certificate yet")
}

fn url(port: u16) -> String {
    format!("https://127.0.0.1:{port}")
}

#[cfg(test)]
mod tests;
