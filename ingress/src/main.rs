//! `eso-relay-ingress --config FILE`

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::Parser;
use eso_relay::{
    config,
    lifecycle::{self, Lifecycle},
    telemetry,
};

/// Takes webhooks and answers 202 when their events stand in the stream.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The YAML file; variables such as `ESO_RELAY__NATS__URL` override its settings.
    #[arg(long, env = "ESO_RELAY_CONFIG")]
    config: Option<PathBuf>,
    /// Check the configuration and the secret files, print the effective settings, and exit.
    #[arg(long)]
    check: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    lifecycle::exit_code("eso-relay-ingress", start(Arguments::parse()).await)
}

async fn start(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let settings = eso_relay_ingress::check(arguments.config.as_deref())?;
    if arguments.check {
        writeln!(std::io::stdout(), "{}", config::effective(&settings))?;
        return Ok(ExitCode::SUCCESS);
    }
    telemetry::init(&settings.log)?;
    let lifecycle = Lifecycle::new(settings.shutdown.grace);
    eso_relay_ingress::run(settings, &lifecycle).await?;
    Ok(lifecycle.run().await)
}
