//! A real Kubernetes API: etcd and kube-apiserver as processes, with ESO's kinds and nothing that
//! acts on them.

pub(crate) mod crds;
mod credentials;
mod programs;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use kube::Client;
use tempfile::TempDir;

use self::{credentials::Credentials, programs::Programs};
use crate::{port, process::Process};

const START: Duration = Duration::from_secs(120);

/// An API server of its own, empty but for the kinds. Dropping it kills both processes and removes
/// what they stored.
///
/// There are no controllers: a deleted namespace stays, and there are no service accounts.
pub struct KubernetesApi {
    credentials: Credentials,
    client: Client,
    // Dropped in this order: the server before its store, both before their directory.
    apiserver: Process,
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
        let programs = Programs::obtain().await?;
        let start = || Self::start_in(tempfile::tempdir(), &programs, definitions);
        port::start(start).await
    }

    async fn start_in(
        dir: std::io::Result<TempDir>,
        programs: &Programs,
        definitions: &Path,
    ) -> anyhow::Result<Self> {
        let dir = dir?;
        let path = dir.path();
        let (etcd_port, port) = (port::free()?, port::free()?);
        let credentials = Credentials::write(path, port)?;
        let etcd = start_etcd(path, programs, etcd_port)?;
        let command = apiserver(path, programs, &credentials, etcd_port, port);
        let mut apiserver = Process::spawn("kube-apiserver", command, &path.join("log"))?;
        let ready = || ready(&credentials);
        apiserver.wait_until("readiness", START, ready).await?;
        let client = credentials.client(None).await?;
        crds::install_all(&client, definitions).await?;
        let this = Self {
            credentials,
            client,
            apiserver,
            _etcd: etcd,
            dir,
        };
        this.write_kubeconfig(&this.kubeconfig(), None)?;
        Ok(this)
    }

    /// A client that may do everything.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A client of a user who may do what RBAC allows; any name will do, for a service account
    /// `system:serviceaccount:NAMESPACE:NAME`.
    pub async fn client_as(&self, user: &str) -> anyhow::Result<Client> {
        self.credentials.client(Some(user)).await
    }

    /// The administrator's kubeconfig, with the one context `lab`.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// Writes a kubeconfig for the user of [`KubernetesApi::client_as`].
    pub fn kubeconfig_as(&self, user: &str) -> anyhow::Result<PathBuf> {
        let name = format!("kubeconfig-{}", user.replace(['/', ':'], "-"));
        let path = self.dir.path().join(name);
        self.write_kubeconfig(&path, Some(user))?;
        Ok(path)
    }

    fn write_kubeconfig(&self, path: &Path, user: Option<&str>) -> anyhow::Result<()> {
        let kubeconfig = self.credentials.kubeconfig(user)?;
        // JSON is YAML too.
        let text = serde_json::to_vec_pretty(&kubeconfig)?;
        Ok(std::fs::write(path, text)?)
    }

    /// SIGKILL for the API server; etcd keeps the objects.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        self.apiserver.kill9()
    }

    /// Starts the API server again after [`KubernetesApi::kill9`]: same port, same objects, same
    /// credentials.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.apiserver.start_again()?;
        let ready = || ready(&self.credentials);
        self.apiserver.wait_until("readiness", START, ready).await
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
    Process::spawn("etcd", etcd, &dir.join("log"))
}

fn apiserver(
    dir: &Path,
    programs: &Programs,
    credentials: &Credentials,
    etcd_port: u16,
    port: u16,
) -> Command {
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
    command
}

async fn ready(credentials: &Credentials) -> anyhow::Result<()> {
    let client = credentials.client(None).await?;
    let request = http::Request::get("/readyz").body(Vec::new())?;
    client.request_text(request).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
