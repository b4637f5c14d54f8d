//! What both daemons can be told on their command line.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::Serialize;

use super::ManArgs;
use crate::config::{effective, in_time, schema};

#[derive(clap::Args)]
pub struct DaemonArgs {
    /// The YAML file; variables such as `ESO_RELAY__NATS__URL` override its settings.
    #[arg(long, value_name = "FILE", env = "ESO_RELAY_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// Check the configuration as a start would, print the effective settings without secrets, and exit.
    #[arg(long)]
    check: bool,
    /// Print the JSON Schema of the file, for editors, and exit.
    #[arg(long)]
    schema: bool,
}

/// What a daemon's program does instead of serving; `C`: its own commands.
#[derive(clap::Subcommand)]
pub enum Task<C: clap::Subcommand> {
    #[command(flatten)]
    Command(C),
    /// Write the manual pages
    #[command(hide = true)]
    Man(ManArgs),
}

impl DaemonArgs {
    /// The settings to serve with. `None`: something was to be printed instead, and is. `check` is what a start does
    /// with the files that the settings name.
    pub async fn settings<T: JsonSchema + Serialize + Send + 'static>(
        &self,
        load: impl FnOnce(Option<&Path>) -> anyhow::Result<T> + Send + 'static,
        check: impl FnOnce(&T) -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<Option<T>> {
        let mut out = std::io::stdout();
        if self.schema {
            writeln!(out, "{}", schema::<T>())?;
            return Ok(None);
        }
        let (file, checks) = (self.config.clone(), self.check);
        let read = move || {
            let settings = load(file.as_deref())?;
            if checks {
                check(&settings)?;
            }
            anyhow::Ok(settings)
        };
        let settings = in_time("the configuration", read).await??;
        if self.check {
            writeln!(out, "{}", effective(&settings))?;
            return Ok(None);
        }
        Ok(Some(settings))
    }
}
