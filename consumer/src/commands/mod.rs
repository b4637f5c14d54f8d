//! The commands that `eso-relay` delegates to this binary, because only the consumer has a Kubernetes client.

mod matches;

use std::path::Path;

use clap::Subcommand;
use eso_relay::command::Failure;
use jiff::Timestamp;

#[derive(Subcommand)]
pub enum Command {
    Matches(Box<matches::Args>),
}

/// `config`: the consumer's file, for its `cluster` and its `kubernetes:` section.
pub async fn run(
    command: Command,
    config: Option<&Path>,
    clock: fn() -> Timestamp,
) -> Result<(), Failure> {
    match command {
        Command::Matches(args) => matches::run(*args, config, clock()).await,
    }
}
