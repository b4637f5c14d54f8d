//! What an operator can ask for, and how the answer leaves the process.

mod again;
mod audit;
mod clusters;
mod completions;
mod confirm;
mod dead;
mod handover;
mod init;
mod output;
mod parse;
mod progress;
mod publish;
mod replay;
mod resync;
mod scan;
mod send;
mod session;
mod status;
mod trace;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};
use eso_relay::command::{Failure, ManArgs, Output, clock, exit_code};
use jiff::Timestamp;

use self::{handover::Binary, session::Session};

const EXAMPLES: &str = "\
Examples:
  eso-relay init --cluster east --cluster west     declare the streams and two clusters
  eso-relay send --key /prod/db                    refresh what reads /prod/db, everywhere
  eso-relay status                                 is anything behind, stuck or lost?
  eso-relay trace EVENT --wait                     did it arrive, in every cluster?
  eso-relay replay --cluster east --since 2h       refresh again what changed in two hours
  eso-relay resync --cluster east                  refresh everything there, once
  eso-relay dead list                              what was given up, and why
  eso-relay dead redrive --reason refused          try it again, now that the cause is gone
  eso-relay audit                                  who has done what with these commands
  eso-relay sources akeyless                       what a sender does, and a configuration for it
  eso-relay explain --format akeyless event.json   the events that a captured payload would become
  eso-relay matches --key /prod/db                 which objects of a cluster that would refresh

Connection:
  --nats or ESO_RELAY__NATS__URL says where; credentials as for the daemons: a file with a `nats:`
  section (--config) or ESO_RELAY__NATS__CREDENTIALS_FILE, …__USER with …__PASSWORD_FILE,
  …__TOKEN_FILE, …__NKEY_SEED_FILE, …__TLS__CA_FILE, and so on.

Exit codes:
  0  done
  1  failed (no connection, the server said no, …)
  2  wrong usage
  3  refused because messages would be lost, or `status` found a stream or durable missing or
     misdeclared";

/// Looks at and steers the streams of eso-relay.
#[derive(Parser)]
#[command(name = "eso-relay", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "ESO_RELAY__NATS__URL",
        hide_env_values = true,
        help = "NATS servers, separated by commas [default: nats://localhost:4222]"
    )]
    nats: Option<String>,
    /// A YAML file with a `nats:` section, such as a daemon's; the user must be allowed to ask
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// For people or for scripts
    #[arg(long, short, global = true, value_enum, default_value_t)]
    output: Output,
}

#[derive(Subcommand)]
enum Command {
    Init(init::Args),
    Send(Box<send::Args>),
    Status(status::Args),
    Trace(trace::Args),
    Replay(replay::Args),
    Resync(resync::Args),
    Dead(Box<dead::Args>),
    Audit(audit::Args),
    Completions(completions::Args),
    /// Write the manual pages
    #[command(hide = true)]
    Man(ManArgs),
    /// List the formats and schemes of the ingress, or explain one with a configuration for it
    Sources(handover::Args),
    /// Show the events that a captured payload would become, and why other elements are ignored
    Explain(handover::Args),
    /// Show which ExternalSecrets of a cluster an event would refresh, and why not another
    Matches(handover::Args),
}

/// Runs the command line that the process was given.
pub(crate) async fn main() -> ExitCode {
    // Prints its own messages and exits with 2 when the command line is wrong.
    let cli = Cli::parse();
    exit_code(run(cli, clock).await.map_err(unanswered))
}

/// NATS does not answer a request that the user may not make: what to think of then.
fn unanswered(failure: Failure) -> Failure {
    match failure {
        Failure::Failed(error) => {
            let said = format!("{error:#}");
            let timed_out = said.contains("timed out") && !said.contains("allowed to");
            Failure::Failed(if timed_out {
                anyhow::anyhow!(
                    "{error}: the server did not answer. Is this user allowed to ask? Commands need the operator's user, and nats-server logs a `Publish Violation` for any other. Else JetStream has no leader"
                )
            } else {
                error
            })
        }
        other => other,
    }
}

async fn run(cli: Cli, clock: fn() -> Timestamp) -> Result<(), Failure> {
    let session = Session::new(cli.global, clock);
    match cli.command {
        Command::Init(args) => init::run(&session, args).await,
        Command::Send(args) => send::run(&session, *args).await,
        Command::Status(args) => status::run(&session, &args).await,
        Command::Trace(args) => trace::run(&session, &args).await,
        Command::Resync(args) => resync::run(&session, args).await,
        Command::Replay(args) => replay::run(&session, args).await,
        Command::Dead(args) => dead::run(&session, *args).await,
        Command::Audit(args) => audit::run(&session, &args).await,
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => Ok(args.write(Cli::command())?),
        Command::Sources(args) => Err(hand_over(&session, Binary::Ingress, "sources", args)),
        Command::Explain(args) => Err(hand_over(&session, Binary::Ingress, "explain", args)),
        Command::Matches(args) => Err(hand_over(&session, Binary::Consumer, "matches", args)),
    }
}

fn hand_over(session: &Session, to: Binary, command: &str, args: handover::Args) -> Failure {
    handover::run(to, command, session.global(), args.arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_misspelt_option_is_answered_with_the_right_one() {
        let error = Cli::try_parse_from(["eso-relay", "init", "--replica", "3"])
            .err()
            .unwrap();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("--replicas"), "{error}");
    }
}
