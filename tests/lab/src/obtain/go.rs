//! Programs in Go that are built here: a `main.go` of ours over somebody else's module, or a program of such a module.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, ensure};
use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};
use tokio::process::Command;

use super::run;
use crate::cache;

/// A folder of this package with `go.mod`, `go.sum` and, where the program is ours, `main.go`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GoProgram {
    /// The folder, and the file that is built.
    pub(crate) name: &'static str,
    /// The package with the program: `.` is the folder itself.
    pub(crate) package: &'static str,
    /// For people who wait: what is built, and how long that takes.
    pub(crate) title: &'static str,
    pub(crate) duration: &'static str,
}

impl GoProgram {
    /// Its name in the cache: another one for each version of its sources.
    pub(crate) fn entry(&self) -> anyhow::Result<String> {
        Ok(format!("{}-{}", self.name, fingerprint(&self.source())?))
    }

    /// Builds it into the cache, once for each version of its sources.
    pub(crate) async fn obtain(&self) -> anyhow::Result<PathBuf> {
        let build = async |dir: PathBuf| self.build(&dir).await;
        let program = cache::entry(&self.entry()?, build).await;
        program.with_context(|| format!("no {}", self.title))
    }

    /// Builds it into the directory `into`.
    pub(crate) async fn build(&self, into: &Path) -> anyhow::Result<PathBuf> {
        cache::announce(&format!(
            "building {} with Go (once, {}; it stays in the cache)",
            self.title, self.duration
        ));
        let binary = into.join(self.name);
        let status = self
            .go()
            .args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
            .arg(&binary)
            .arg(self.package)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .status()
            .await
            .context("cannot run go, which is needed to build it")?;
        ensure!(
            status.success(),
            "go build in {} failed ({status}): see above",
            self.source().display()
        );
        cache::announce(&format!("built {}", self.title));
        Ok(binary)
    }

    /// Where Go keeps the sources of a module that it is built from.
    pub(crate) async fn module(&self, path: &str) -> anyhow::Result<PathBuf> {
        let said = run(self.go().args(["list", "-m", "-f", "{{.Dir}}", path])).await?;
        Ok(PathBuf::from(said.trim()))
    }

    fn go(&self) -> Command {
        let mut go = Command::new("go");
        // Flags meant for the user's own modules, such as -mod=vendor, would be refused.
        go.env("GOFLAGS", "-mod=readonly")
            .current_dir(self.source());
        go
    }

    fn source(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(self.name)
    }
}

/// The binary changes with these files only: Go's checksums fix all that they name.
fn fingerprint(source: &Path) -> anyhow::Result<String> {
    let mut context = Context::new(&SHA256);
    for name in ["main.go", "go.mod", "go.sum"] {
        let path = source.join(name);
        if name == "main.go" && !path.exists() {
            continue;
        }
        let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
        context.update(&text);
    }
    let digest = context.finish();
    Ok(HEXLOWER.encode(&digest.as_ref()[..6]))
}
