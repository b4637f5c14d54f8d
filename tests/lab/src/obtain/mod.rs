//! How a program that the machine lacks comes into the cache.

mod go;
mod wheel;

use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::process::Command;

pub(crate) use self::{go::GoProgram, wheel::Wheel};

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
