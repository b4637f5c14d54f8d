//! `cargo demo`: the main job, seen. A webhook becomes patched ExternalSecrets in two clusters, whatever dies
//! meanwhile. Every claim is checked; it exits with 1 if one of them does not hold.

mod cast;
mod keep;
mod own;
mod scenes;
mod site;
mod stage;
mod tell;
mod watch;

use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use self::{
    own::Own,
    stage::{Kubernetes, Stage},
    tell::{Output, Teller},
};

/// Starts NATS, two clusters, the ingress and two consumers for each cluster, and shows what they do.
#[derive(Parser)]
#[command(name = "cargo demo")]
struct Args {
    /// What the clusters east and west are made of
    #[arg(long, value_enum, default_value_t)]
    kubernetes: Kubernetes,
    /// East is this cluster of your kubeconfig, in a namespace that is removed at the end
    #[arg(long, value_name = "NAME", conflicts_with = "kubernetes")]
    context: Option<String>,
    /// Leave all running at the end, and print what to try next, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// For people, or one JSON line for each step
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let tell = Teller::new(args.output);
    let own = match &args.context {
        Some(context) => match Own::connect(context).await {
            Ok(own) => Some(own),
            Err(error) => return tell.failed(&error, ""),
        },
        None => None,
    };
    let code = tokio::select! {
        // First, because with --keep it ends by the same Ctrl-C, and well.
        biased;
        code = play(&args, own.as_ref(), &tell) => code,
        // As a shell has it for a program that Ctrl-C ended.
        () = interrupted() => ExitCode::from(130),
    };
    // All processes are gone by now; what was made in the user's cluster goes last.
    match own {
        Some(own) => own.remove(&tell).await.map_or(ExitCode::FAILURE, |()| code),
        None => code,
    }
}

async fn play(args: &Args, own: Option<&Own>, tell: &Teller) -> ExitCode {
    let mut stage = match Stage::start(args.kubernetes, own, tell).await {
        Ok(stage) => stage,
        Err(error) => return tell.failed(&error, ""),
    };
    if let Err(error) = scenes::play_all(&mut stage, tell).await {
        return tell.failed(&error, &stage.logs());
    }
    let code = tell.finished();
    if args.keep {
        match keep::print(&stage, tell).await {
            Ok(()) => interrupted().await,
            Err(error) => return tell.failed(&error, ""),
        }
    }
    code
}

/// Ctrl-C, or SIGTERM.
async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
