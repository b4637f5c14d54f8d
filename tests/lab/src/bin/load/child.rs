//! What must be measured in a process of its own: this program, started again.

use std::{io::Write as _, path::PathBuf, process::Stdio};

use anyhow::{Context as _, ensure};
use clap::Subcommand;

use super::{burst, first_sync, floor, memory};

#[derive(Subcommand)]
#[command(hide = true)]
pub(crate) enum Child {
    /// An axum server whose one handler reads the body and answers 202.
    BareHandler { port: u16 },
    /// An axum server whose one handler checks an HMAC, stores the body in JetStream and answers 202.
    DurableHandler { port: u16, nats: String },
    /// Patches objects over so many connections, and prints how many per second.
    PatchLoop {
        kubeconfig: PathBuf,
        round: String,
        objects: usize,
    },
    /// Lists so many objects in pages, which it reads or not, and prints how many milliseconds that took.
    RawList {
        kubeconfig: PathBuf,
        objects: usize,
        how: String,
    },
    /// Prints how many bytes an ExternalSecret takes in an index of so many.
    IndexMemory { objects: usize },
}

impl Child {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let figure = match self {
            Self::BareHandler { port } => return floor::bare_handler(port).await,
            Self::DurableHandler { port, nats } => {
                return floor::durable_handler(port, &nats).await;
            }
            Self::PatchLoop {
                kubeconfig,
                round,
                objects,
            } => burst::patch_loop(&kubeconfig, &round, objects).await?,
            Self::RawList {
                kubeconfig,
                objects,
                how,
            } => first_sync::raw_list(&kubeconfig, objects, &how).await?,
            Self::IndexMemory { objects } => memory::per_object(objects)?,
        };
        writeln!(std::io::stdout(), "{figure}")?;
        Ok(())
    }
}

/// Runs this program with these arguments and reads the one number that it prints.
pub(crate) async fn figure(arguments: &[&str]) -> anyhow::Result<f64> {
    let output = tokio::process::Command::new(std::env::current_exe()?)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    ensure!(output.status.success(), "{arguments:?}: {}", output.status);
    let printed = String::from_utf8(output.stdout)?;
    printed
        .trim()
        .parse()
        .with_context(|| format!("{arguments:?} printed {printed:?}"))
}
