//! `eso-relay-ingress --config FILE`, and the commands that `eso-relay` hands over.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::Parser;
use eso_relay::{
    command::Failure,
    config,
    lifecycle::{self, Lifecycle},
    telemetry,
};
use eso_relay_ingress::{
    IngressConfig,
    commands::{self, Command},
};
use jiff::Timestamp;

/// Takes webhooks and answers 202 when their events stand in the stream.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The YAML file; variables such as `ESO_RELAY__NATS__URL` override its settings.
    #[arg(long, value_name = "FILE", env = "ESO_RELAY_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// Check the configuration and the secret files, print the effective settings, and exit.
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
        return lifecycle::exit_code("eso-relay-ingress", start(arguments).await);
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
        writeln!(std::io::stdout(), "{}", config::schema::<IngressConfig>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let settings = eso_relay_ingress::check(arguments.config.as_deref())?;
    if arguments.check {
        writeln!(std::io::stdout(), "{}", config::effective(&settings))?;
        return Ok(ExitCode::SUCCESS);
    }
    telemetry::init(&settings.log)?;
    if std::env::var("ENABLE_CACHE_BUSTER").is_ok_and(|value| value == "true") {
        tracing::warn!(
            "ENABLE_CACHE_BUSTER has no effect: there is one refresh for each event, and no second one after a delay"
        );
    }
    let lifecycle = Lifecycle::new(settings.shutdown.grace);
    eso_relay_ingress::run(settings, &lifecycle).await?;
    Ok(lifecycle.run().await)
}
