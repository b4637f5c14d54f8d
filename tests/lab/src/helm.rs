//! The real Helm, which renders charts and reaches no cluster.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::bail;
use tempfile::TempDir;
use tokio::process::Command;

use crate::obtain::{self, GoProgram};

/// Both are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelmVersion {
    V3,
    V4,
}

impl HelmVersion {
    const fn program(self) -> GoProgram {
        let (name, package, title) = match self {
            Self::V3 => ("helm3", "helm.sh/helm/v3/cmd/helm", "Helm 3"),
            Self::V4 => ("helm4", "helm.sh/helm/v4/cmd/helm", "Helm 4"),
        };
        GoProgram {
            name,
            package,
            title,
            duration: "about 5 minutes",
        }
    }
}

/// Whether `ESO_RELAY_HELM` says `real`; says on stderr what is skipped when it does not.
pub fn is_asked_for() -> bool {
    obtain::is_asked_for("ESO_RELAY_HELM", "the real Helm")
}

/// Helm without plugins, repositories and a cluster.
pub struct Helm {
    program: PathBuf,
    home: TempDir,
}

impl Helm {
    /// Built with Go into the cache, once for each version.
    ///
    /// # Errors
    /// It is not there and cannot be built.
    pub async fn obtain(version: HelmVersion) -> anyhow::Result<Self> {
        Ok(Self {
            program: version.program().obtain().await?,
            home: tempfile::tempdir()?,
        })
    }

    /// What it prints, run in `folder`.
    ///
    /// # Errors
    /// It fails: the error is what it says.
    pub async fn run<S: AsRef<str>>(
        &self,
        folder: &Path,
        arguments: impl IntoIterator<Item = S>,
    ) -> anyhow::Result<String> {
        let mut command = Command::new(&self.program);
        for argument in arguments {
            command.arg(argument.as_ref());
        }
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, self.home.path());
        }
        let output = command
            .env("KUBECONFIG", self.home.path().join("none"))
            .current_dir(folder)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!("{}", said.trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}
