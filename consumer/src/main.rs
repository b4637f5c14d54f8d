//! `eso-relay-consumer --config FILE`, and the commands that `eso-relay` hands over.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use eso_relay::{
    command::{DaemonArgs, Task, clock, exit_code},
    lifecycle, telemetry,
};
use eso_relay_consumer::{
    commands::{self, Command},
    config::ConsumerConfig,
};

/// Half the time for a first sync and a quarter more messages a second, beside glibc's.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Refreshes the ExternalSecrets of one cluster when their secrets change.
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
        None => lifecycle::exit_code("eso-relay-consumer", start(arguments).await),
        Some(Task::Command(command)) => {
            exit_code(commands::run(command, arguments.daemon.config.as_deref(), clock).await)
        }
        Some(Task::Man(args)) => exit_code(args.write(Arguments::command()).map_err(Into::into)),
    }
}

async fn start(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let check = eso_relay_consumer::check;
    let settings = arguments.daemon.settings(ConsumerConfig::load, check);
    let Some(settings) = settings.await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let _flush = telemetry::init(&settings.log)?;
    eso_relay_consumer::run(settings).await
}
