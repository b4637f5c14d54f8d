//! Where etcd and kube-apiserver come from.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use ring::digest::{Context, SHA256};
use tokio::sync::OnceCell;

use crate::cache;

/// The two programs of a control plane.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    etcd: Program,
    apiserver: Program,
}

/// A program, and the first argument when one binary plays both roles.
#[derive(Debug, Clone)]
struct Program {
    path: PathBuf,
    role: Option<&'static str>,
}

impl Programs {
    pub(super) fn etcd(&self) -> Command {
        self.etcd.command()
    }

    pub(super) fn apiserver(&self) -> Command {
        self.apiserver.command()
    }
}

impl Program {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(self.role);
        command
    }
}

/// The programs in the directory `KUBEBUILDER_ASSETS`; without it, our own binary of both, built
/// with Go into the cache, once for each version of its source.
pub(super) async fn obtain() -> anyhow::Result<Programs> {
    static FOUND: OnceCell<Programs> = OnceCell::const_new();
    FOUND.get_or_try_init(find).await.cloned()
}

/// Whether they are there without building anything.
pub(super) fn at_hand() -> bool {
    let built = || Ok::<_, anyhow::Error>(cache::directory()?.join(entry(&source())?).exists());
    assets().is_some() || built().unwrap_or(false)
}

fn assets() -> Option<OsString> {
    std::env::var_os("KUBEBUILDER_ASSETS").filter(|dir| !dir.is_empty())
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kube-apiserver")
}

fn entry(source: &Path) -> anyhow::Result<String> {
    Ok(format!("kube-apiserver-{}", fingerprint(source)?))
}

async fn find() -> anyhow::Result<Programs> {
    if let Some(assets) = assets() {
        return from_assets(Path::new(&assets));
    }
    let source = source();
    let path = cache::entry(&entry(&source)?, |dir| build(source, dir)).await?;
    let role = |role| Program {
        path: path.clone(),
        role: Some(role),
    };
    Ok(Programs {
        etcd: role("etcd"),
        apiserver: role("apiserver"),
    })
}

pub(super) fn from_assets(assets: &Path) -> anyhow::Result<Programs> {
    let program = |name: &str| {
        let path = assets.join(name);
        ensure!(
            path.is_file(),
            "KUBEBUILDER_ASSETS: there is no {}",
            path.display()
        );
        Ok(Program { path, role: None })
    };
    Ok(Programs {
        etcd: program("etcd")?,
        apiserver: program("kube-apiserver")?,
    })
}

/// The binary changes with these files only: Go's checksums fix all that they name.
fn fingerprint(source: &Path) -> anyhow::Result<String> {
    let mut context = Context::new(&SHA256);
    for name in ["main.go", "go.mod", "go.sum"] {
        let path = source.join(name);
        let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
        context.update(&text);
    }
    let digest = context.finish();
    Ok(cache::hex(&digest.as_ref()[..6]))
}

async fn build(source: PathBuf, dir: PathBuf) -> anyhow::Result<PathBuf> {
    cache::announce(
        "building a Kubernetes API server with Go (once, up to 10 minutes; it stays in the cache)",
    );
    let binary = dir.join("kube-apiserver");
    let status = tokio::process::Command::new("go")
        .args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
        .arg(&binary)
        .arg(".")
        .env("GOFLAGS", "-mod=readonly")
        .current_dir(&source)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .context("no Kubernetes API server: install Go, or set KUBEBUILDER_ASSETS to a directory with etcd and kube-apiserver")?;
    ensure!(
        status.success(),
        "go build in {} failed ({status}): see above; or set KUBEBUILDER_ASSETS to a directory with etcd and kube-apiserver",
        source.display()
    );
    cache::announce("built the Kubernetes API server");
    Ok(binary)
}
