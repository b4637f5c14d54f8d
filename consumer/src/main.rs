//! `eso-relay-consumer --config FILE`, and the commands that `eso-relay` hands over.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::Parser;
use eso_relay::{
    command::Failure,
    config::{effective, schema},
    lifecycle, telemetry,
};
use eso_relay_consumer::{
    commands::{self, Command},
    config::ConsumerConfig,
};
use jiff::Timestamp;

/// Refreshes the ExternalSecrets of one cluster when their secrets change.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration, YAML. Variables such as `ESO_RELAY__NATS__URL` override it.
    #[arg(long, value_name = "FILE", env = "ESO_RELAY_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// Print the effective configuration, secrets redacted, and exit.
    #[arg(long)]
    check: bool,
    /// Print the JSON Schema of the file, for editors, and exit.
    #[arg(long)]
    schema: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[tokio::main]
async fn main() -> ExitCode {
    // Prints its own messages and exits with 2 when the command line is wrong.
    let mut arguments = Arguments::parse();
    let Some(command) = arguments.command.take() else {
        return lifecycle::exit_code("eso-relay-consumer", start(arguments).await);
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where a command reads the clock"
    )]
    let clock = Timestamp::now;
    let done = commands::run(command, arguments.config.as_deref(), clock).await;
    done.map_or_else(Failure::report, |()| ExitCode::SUCCESS)
}

async fn start(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if arguments.schema {
        writeln!(std::io::stdout(), "{}", schema::<ConsumerConfig>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = ConsumerConfig::load(arguments.config.as_deref())?;
    if arguments.check {
        writeln!(std::io::stdout(), "{}", effective(&config))?;
        return Ok(ExitCode::SUCCESS);
    }
    telemetry::init(&config.log)?;
    eso_relay_consumer::run(config).await
}
