//! `eso-relay-consumer --config FILE`.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::Parser;
use eso_relay::{
    config::{effective, schema},
    lifecycle, telemetry,
};
use eso_relay_consumer::config::ConsumerConfig;

/// Refreshes the ExternalSecrets of one cluster when their secrets change.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration, YAML. Variables such as `ESO_RELAY__NATS__URL` override it.
    #[arg(long, env = "ESO_RELAY_CONFIG")]
    config: Option<PathBuf>,
    /// Print the effective configuration, secrets redacted, and exit.
    #[arg(long)]
    check: bool,
    /// Print the JSON Schema of the file, for editors, and exit.
    #[arg(long)]
    schema: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    lifecycle::exit_code("eso-relay-consumer", start(Arguments::parse()).await)
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
