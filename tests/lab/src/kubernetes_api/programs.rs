//! Where etcd and kube-apiserver come from.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

use crate::{cache, obtain::GoProgram};

const SERVER: GoProgram = GoProgram {
    name: "kube-apiserver",
    package: ".",
    title: "a Kubernetes API server",
    duration: "up to 10 minutes",
};

/// The two programs of a control plane.
#[derive(Debug)]
pub(super) enum Programs {
    /// One binary; its first argument says which of both it is.
    Ours(PathBuf),
    /// A directory of both.
    Assets(PathBuf),
}

impl Programs {
    /// The programs in the directory `KUBEBUILDER_ASSETS`; without it, our own binary of both, built
    /// with Go into the cache, once for each version of its source.
    pub(super) async fn obtain() -> anyhow::Result<Self> {
        if let Some(assets) = assets() {
            return Self::from_assets(Path::new(&assets));
        }
        let program = SERVER.obtain().await.map(Self::Ours);
        program
            .context("KUBEBUILDER_ASSETS may name a directory with etcd and kube-apiserver instead")
    }

    pub(super) fn from_assets(assets: &Path) -> anyhow::Result<Self> {
        for name in ["etcd", "kube-apiserver"] {
            let path = assets.join(name);
            let missing = path.display();
            ensure!(path.is_file(), "KUBEBUILDER_ASSETS: there is no {missing}");
        }
        Ok(Self::Assets(assets.to_owned()))
    }

    pub(super) fn etcd(&self) -> Command {
        self.command("etcd", "etcd")
    }

    pub(super) fn apiserver(&self) -> Command {
        self.command("kube-apiserver", "apiserver")
    }

    fn command(&self, name: &str, role: &str) -> Command {
        match self {
            Self::Assets(dir) => Command::new(dir.join(name)),
            Self::Ours(program) => {
                let mut command = Command::new(program);
                command.arg(role);
                command
            }
        }
    }
}

/// Whether they are there without building anything.
pub(super) fn at_hand() -> bool {
    let built = || Ok::<_, anyhow::Error>(cache::directory()?.join(SERVER.entry()?).exists());
    assets().is_some() || built().unwrap_or(false)
}

fn assets() -> Option<OsString> {
    std::env::var_os("KUBEBUILDER_ASSETS").filter(|dir| !dir.is_empty())
}
