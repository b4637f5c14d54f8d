//! What every command of ours does alike: how it answers, how it fails, what it reads and sends.

mod by_hand;
mod daemon;
mod failure;
mod man;
mod post;
mod table;

use std::{
    fmt::Display,
    io::{Read as _, Write as _},
    path::Path,
    process::ExitCode,
};

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Serialize;

pub use self::{
    by_hand::{ByHand, store},
    daemon::{DaemonArgs, Task},
    failure::Failure,
    man::ManArgs,
    post::{Answer, client, header, send},
    table::Table,
};

/// How a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Output {
    #[default]
    Text,
    Json,
}

impl Output {
    /// The answer of the command, on standard output.
    pub fn print(self, report: &(impl Serialize + Display)) -> anyhow::Result<()> {
        let text = match self {
            Self::Text => report.to_string(),
            Self::Json => {
                let json = serde_json::to_string_pretty(report).context("cannot print JSON")?;
                format!("{json}\n")
            }
        };
        Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
    }
}

/// When it is, for a command; the libraries are told.
pub fn clock() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where a command reads the clock"
    )]
    Timestamp::now()
}

/// What the process ends with; a failure is told first.
pub fn exit_code(done: Result<(), Failure>) -> ExitCode {
    done.map_or_else(Failure::report, |()| ExitCode::SUCCESS)
}

/// A payload: of a file, or for `-` of standard input.
pub fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().read_to_end(&mut body).map(drop)
    } else {
        std::fs::read(file).map(|bytes| body = bytes)
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(body)
}
