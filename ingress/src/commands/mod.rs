//! The commands of this binary besides serving. `eso-relay` hands these commands over, because only the ingress
//! knows formats.

mod explain;
mod sample;
mod sources;

use std::path::Path;

use clap::Subcommand;
use eso_relay::{
    Slug,
    command::{Failure, Output},
};
use jiff::Timestamp;

use crate::{IngressConfig, OutgoingConfig, SourceConfig};

#[derive(Subcommand)]
pub enum Command {
    Sources(sources::Args),
    Explain(explain::Args),
    Sample(sample::Args),
}

#[derive(clap::Args)]
struct Answer {
    /// For people or for scripts
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
}

/// `config`: the file with the sources, where a command looks at one.
pub async fn run(
    command: Command,
    config: Option<&Path>,
    clock: fn() -> Timestamp,
) -> Result<(), Failure> {
    match command {
        Command::Sources(args) => sources::run(&args),
        Command::Explain(args) => explain::run(&args, config, clock()).await,
        Command::Sample(args) => sample::run(&args, config, clock()).await,
    }
}

/// A source of the configuration file, and how it may call others.
fn source(config: Option<&Path>, name: &Slug) -> Result<(SourceConfig, OutgoingConfig), Failure> {
    let Some(file) = config else {
        return Err(Failure::Usage(
            "--source needs --config FILE, the file of the ingress".to_owned(),
        ));
    };
    let config = IngressConfig::load(Some(file))?;
    if config.polls.iter().any(|poll| poll.name == *name) {
        return Err(Failure::Usage(format!(
            "`{name}` is a poll of {}, to which nothing is sent",
            file.display()
        )));
    }
    let names: Vec<_> = config
        .sources
        .iter()
        .map(|source| source.name.to_string())
        .collect();
    let mut sources = config.sources.into_iter();
    let source = sources.find(|source| source.name == *name).ok_or_else(|| {
        Failure::Usage(format!(
            "{} has no source `{name}`; it has: {}",
            file.display(),
            names.join(", ")
        ))
    })?;
    Ok((source, config.outgoing))
}

#[cfg(test)]
mod tests;
