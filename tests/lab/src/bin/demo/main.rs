//! `cargo demo`: the main job, seen. A webhook becomes patched ExternalSecrets in two clusters, whatever dies
//! meanwhile. Every claim is checked; it exits with 1 if one of them does not hold.

mod cast;
mod narrate;
mod scene;
mod stage;

use std::process::ExitCode;

use clap::Parser;

use self::{
    narrate::{Narrator, Output},
    stage::{Kubernetes, Own},
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
    let tell = Narrator::new(args.output);
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
        code = scene::play_all(&args, own.as_ref(), &tell) => code,
        // As a shell has it for a program that Ctrl-C ended.
        () = scene::interrupted() => ExitCode::from(130),
    };
    // All processes are gone by now; what was made in somebody's cluster goes last.
    match own {
        Some(own) => own.remove(&tell).await.map_or(ExitCode::FAILURE, |()| code),
        None => code,
    }
}
