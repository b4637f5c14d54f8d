//! The Go module, built here; Go's checksum database vouches for it.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::VERSION;
use crate::obtain::run;

pub(super) async fn fetch(dir: &Path) -> anyhow::Result<PathBuf> {
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
