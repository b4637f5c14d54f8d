//! Our own programs, built as the tests that run them were.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use tokio::sync::OnceCell;

/// One of our programs; its package and its file are named alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    Cli,
    Ingress,
    Consumer,
}

impl Binary {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Cli => "eso-relay",
            Self::Ingress => "eso-relay-ingress",
            Self::Consumer => "eso-relay-consumer",
        }
    }

    /// The program's path. The first call brings all of them up to date with `cargo build`.
    ///
    /// # Errors
    /// They do not compile, or there is no cargo.
    pub async fn path(self) -> anyhow::Result<PathBuf> {
        static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
        let dir = BUILT.get_or_try_init(build).await?;
        Ok(dir.join(self.name()))
    }
}

async fn build() -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let output = Output::of(&here)?;
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // Without `--package`, so that the daemons are linked from what is built for the tests. By itself one would leave out
    // `std` of bitflags, which a dependency of ours here adds, and the Kubernetes client would be compiled again for that.
    let status = tokio::process::Command::from(cargo())
        .args(["build", "--quiet", "--profile", &output.profile])
        .args(
            [Binary::Cli, Binary::Ingress, Binary::Consumer]
                .map(|it| format!("--bin={}", it.name())),
        )
        .arg("--target-dir")
        .arg(&output.target_dir)
        .current_dir(workspace)
        .stdin(Stdio::null())
        .status()
        .await
        .context("cannot run cargo to build the daemons")?;
    ensure!(
        status.success(),
        "cargo build of the daemons failed: see above"
    );
    Ok(output.dir)
}

/// Cargo, with no sign that it runs inside of `cargo test`.
///
/// The variables that cargo gives to a test are inputs of some build scripts (ring's among them):
/// left in place, this build and the next one around it would undo each other's work for ever.
pub(super) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_MANIFEST_") || text.starts_with("CARGO_PKG_") {
            command.env_remove(name);
        }
    }
    command
}

/// Where cargo put the program that is running now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) dir: PathBuf,
    pub(super) profile: String,
    pub(super) target_dir: PathBuf,
}

impl Output {
    /// From `TARGET/PROFILE/demo` or `TARGET/PROFILE/deps/it-0123`.
    pub(super) fn of(program: &Path) -> anyhow::Result<Self> {
        let parts = || {
            let mut dir = program.parent()?;
            if dir.ends_with("deps") {
                dir = dir.parent()?;
            }
            let profile = match dir.file_name()?.to_str()? {
                // Cargo names the directory of this profile otherwise.
                "debug" => "dev",
                other => other,
            };
            Some(Self {
                dir: dir.to_owned(),
                profile: profile.to_owned(),
                target_dir: dir.parent()?.to_owned(),
            })
        };
        parts().with_context(|| {
            format!(
                "{} is not in a target directory: run it through cargo",
                program.display()
            )
        })
    }
}
