//! `cargo torture`: what is promised, under kill -9, SIGSTOP and full disks. docs/reliability.md says
//! what each line of the table means.

mod campaign;
mod ledger;
mod load;
mod plan;
mod report;
mod scan;
mod stage;
mod streams;

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, ValueEnum};
use eso_relay::command::Output;
use eso_relay_lab::{daemon::Binary, nats_server};

use self::{
    campaign::Orders,
    report::{Part, Report},
};

/// Breaks the processes of a whole installation at random while webhooks flow, and checks after each
/// round that nothing that was answered 202 is lost or stuck.
///
/// An installation is an ingress, one nats-server (R1) or a cluster of three (R3), and two clusters
/// with two consumers each, all on this machine. In each round up to seven faults, drawn from the
/// seed, hit it: kill -9 and SIGSTOP of any process, and full disks of nats-servers. Then all is
/// started again, and within 20 s every accepted webhook must have had its effect in both clusters;
/// both durables must come to the end of the stream, without dead letters; every replica must catch
/// up; and no log of a server may tell of damage.
#[derive(Parser)]
#[command(
    name = "cargo torture",
    after_help = "Examples:\n  \
        cargo torture                            ten rounds, in some two minutes\n  \
        cargo torture --seed 42 --replicas 3     the same faults once more\n  \
        cargo torture --rounds 1000              what a release must pass, in some two hours\n\n\
        The faults of a round follow from the seed and its number: a shorter run repeats the first ones.\n\n\
        Exit code: 0 when every promise held, 1 when one was broken or the campaign could not run.\n\
        Then the logs of all processes are kept, and the report says where.\n\
        A full disk is a small tmpfs, for which the user must be root or user namespaces be allowed;\n\
        elsewhere the campaign runs without that fault, and says so."
)]
struct Arguments {
    /// In all; with both kinds of streams, each gets half of them
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Of the faults; without it a new one, which is printed
    #[arg(long)]
    seed: Option<u64>,
    /// Replicas of each stream, and nats-servers; both run side by side
    #[arg(long, value_enum, default_value_t)]
    replicas: Replicas,
    /// A table for people, or JSON
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Replicas {
    #[value(name = "1")]
    One,
    #[value(name = "3")]
    Three,
    #[default]
    Both,
}

/// Says on standard error what is being done.
fn progress(what: &str) {
    // Progress that cannot be shown stops nothing.
    writeln!(std::io::stderr(), "torture: {what}").ok();
}

#[tokio::main]
async fn main() -> ExitCode {
    tokio::select! {
        code = run(Arguments::parse()) => code.unwrap_or_else(|error| {
            writeln!(std::io::stderr(), "error: {error:#}").ok();
            ExitCode::FAILURE
        }),
        // As a shell has it for a program that Ctrl-C ended.
        _ = tokio::signal::ctrl_c() => ExitCode::from(130),
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let seed = arguments
        .seed
        .unwrap_or_else(|| u64::from(fastrand::u32(..)));
    let report = Box::pin(torture(&arguments, seed)).await?;
    arguments.output.print(&report)?;
    Ok(if report.held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn torture(arguments: &Arguments, seed: u64) -> anyhow::Result<Report> {
    progress(&format!("{} rounds, seed {seed}", arguments.rounds));
    Binary::Cli.path().await?;
    nats_server::obtain().await?;
    let no_full_disks = nats_server::small_disks().await.err();
    let no_full_disks = no_full_disks.map(|error| format!("{error:#}"));
    if let Some(why) = &no_full_disks {
        progress(&format!("no disk will be full: {why}"));
    }
    let logs = std::env::temp_dir().join(format!("eso-relay-torture-{seed}"));

    let (r1, r3) = match arguments.replicas {
        Replicas::One => (arguments.rounds, 0),
        Replicas::Three => (0, arguments.rounds),
        Replicas::Both => (arguments.rounds / 2, arguments.rounds.div_ceil(2)),
    };
    let run = async |servers, rounds| {
        if rounds == 0 {
            return Ok(None);
        }
        let orders = Orders {
            servers,
            rounds,
            seed,
            small_disks: no_full_disks.is_none(),
        };
        campaign::run(orders, &logs.join(format!("R{servers}")))
            .await
            .map(Some)
    };
    let (r1, r3) = tokio::try_join!(run(1, r1), run(3, r3))?;
    let campaigns: Vec<Part> = [r1, r3].into_iter().flatten().collect();
    let held = campaigns.iter().all(|part| part.broken.is_empty());
    Ok(Report {
        seed,
        held,
        no_full_disks,
        logs: (!held).then_some(logs),
        campaigns,
    })
}
