//! Where etcd and kube-apiserver come from.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use tokio::sync::OnceCell;

use crate::{cache, obtain::GoProgram};

const SERVER: GoProgram = GoProgram {
    name: "kube-apiserver",
    title: "a Kubernetes API server",
    duration: "up to 10 minutes",
};

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
    let built = || Ok::<_, anyhow::Error>(cache::directory()?.join(SERVER.entry()?).exists());
    assets().is_some() || built().unwrap_or(false)
}

fn assets() -> Option<OsString> {
    std::env::var_os("KUBEBUILDER_ASSETS").filter(|dir| !dir.is_empty())
}

async fn find() -> anyhow::Result<Programs> {
    if let Some(assets) = assets() {
        return from_assets(Path::new(&assets));
    }
    let build = async |dir: PathBuf| SERVER.build(&dir).await;
    let path = cache::entry(&SERVER.entry()?, build)
        .await
        .context("no Kubernetes API server; KUBEBUILDER_ASSETS may name a directory with etcd and kube-apiserver instead")?;
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
