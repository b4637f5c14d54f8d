//! `eso-relay-ingress --config FILE`, and the commands that `eso-relay` hands over.

use std::{path::Path, process::ExitCode};

use clap::{CommandFactory as _, Parser};
use eso_relay::{
    command::{DaemonArgs, Task, clock, exit_code},
    lifecycle::{self, Lifecycle},
    telemetry,
};
use eso_relay_ingress::{
    IngressConfig,
    commands::{self, Command},
};

/// Serves a fifth more requests per second than glibc's allocator.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Takes webhooks and answers 202 when their events are stored in the stream.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    daemon: DaemonArgs,
    #[command(subcommand)]
    task: Option<Task<Command>>,
}

#[tokio::main]
async fn main() -> ExitCode {
    // Prints its own messages and exits with 2 when the command line is wrong.
    let mut arguments = Arguments::parse();
    match arguments.task.take() {
        None => lifecycle::exit_code("eso-relay-ingress", start(arguments).await),
        Some(Task::Command(command)) => {
            exit_code(commands::run(command, arguments.daemon.config.as_deref(), clock).await)
        }
        Some(Task::Man(args)) => exit_code(args.write(Arguments::command()).map_err(Into::into)),
    }
}

async fn start(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let load = |file: Option<&Path>| Ok(IngressConfig::load(file)?);
    let settings = arguments.daemon.settings(load, eso_relay_ingress::check);
    let Some(settings) = settings.await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let _flush = telemetry::init(&settings.log)?;
    let lifecycle = Lifecycle::new(settings.shutdown.grace);
    eso_relay_ingress::run(settings, &lifecycle).await?;
    Ok(lifecycle.run().await)
}
