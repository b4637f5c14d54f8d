//! `cargo demo`: the main job, seen. A webhook becomes patched ExternalSecrets in two clusters, whatever dies
//! meanwhile. Every line that begins with `ok` was checked; the exit code is 1 if one of them does not hold.

/// One line; when standard output is closed, the exit code still counts.
macro_rules! tell {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), $($text)*).ok()
    }};
}
macro_rules! say {
    ($($text:tt)*) => { tell!("  {}", format_args!($($text)*)) };
}
/// Something that was promised and has happened.
macro_rules! ok {
    ($($text:tt)*) => { tell!("  ok {}", format_args!($($text)*)) };
}

mod claims;
mod faults;
mod site;
mod stage;

use std::{process::ExitCode, time::Instant};

use clap::Parser;
use eso_relay_lab::installation::KubernetesKind;
use tokio::signal::ctrl_c;

use self::stage::Stage;

/// Starts NATS, two clusters, the ingress and two consumers for each cluster, and shows what they do.
#[derive(Parser)]
#[command(name = "cargo demo")]
struct Args {
    /// What the clusters east and west are made of
    #[arg(long, value_enum, default_value_t)]
    kubernetes: KubernetesKind,
    /// Leave all running at the end, and print what to try next, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    tokio::select! {
        // First, because with --keep it ends by the same Ctrl-C, and well.
        biased;
        ended = run(&args) => match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                say!("FAILED {error:#}");
                ExitCode::FAILURE
            }
        },
        // As a shell has it for a program that Ctrl-C ended.
        _ = ctrl_c() => ExitCode::from(130),
    }
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let mut stage = Stage::start(args.kubernetes).await?;
    let started = Instant::now();
    let played = play(&mut stage).await;
    played.inspect_err(|_| stage.show_logs())?;
    tell!("\nAll of it held, in {:.0?}.", started.elapsed());
    if args.keep {
        stage.show_what_to_try().await?;
        ctrl_c().await?;
    }
    Ok(())
}

async fn play(stage: &mut Stage) -> anyhow::Result<()> {
    claims::webhooks(stage).await?;
    claims::restart(stage).await?;
    faults::kill(stage).await?;
    let since = faults::outage(stage).await?;
    claims::replay(stage, since).await?;
    claims::status(stage).await
}
