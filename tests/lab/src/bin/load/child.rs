//! What must be measured in a process of its own: this program, started again.

use std::{io::Write as _, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context as _, ensure};
use axum::{Router, http::StatusCode, routing::post, serve::ListenerExt as _};
use bytes::Bytes;
use clap::Subcommand;
use eso_relay_lab::{port, process::Process};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use super::{burst, first_sync, memory};

#[derive(Subcommand)]
#[command(hide = true)]
pub(crate) enum Child {
    /// An axum server whose one handler reads the body and answers 202.
    BareHandler { port: u16 },
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
            Self::BareHandler { port } => return bare_handler(port).await,
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

async fn bare_handler(port: u16) -> anyhow::Result<()> {
    let router = Router::new().route(
        "/v1/hooks/{source}",
        post(async |_body: Bytes| StatusCode::ACCEPTED),
    );
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    // As the ingress does; an error would show in the figures.
    let listener = listener.tap_io(|stream| {
        stream.set_nodelay(true).ok();
    });
    axum::serve(listener, router).await?;
    Ok(())
}

/// A running [`Child::BareHandler`].
pub(crate) struct BareHandler {
    port: u16,
    _process: Process,
    _dir: TempDir,
}

impl BareHandler {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let port = port::free()?;
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command.arg("bare-handler").arg(port.to_string());
        let mut process =
            Process::spawn("bare axum handler", &mut command, &dir.path().join("log"))?;
        let answers = || TcpStream::connect(("127.0.0.1", port));
        process
            .wait_until("life", Duration::from_secs(30), answers)
            .await?;
        Ok(Self {
            port,
            _process: process,
            _dir: dir,
        })
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}
