//! `eso-relay dead`: what a cluster gave up on and why, and another try for it.

mod discard;
mod filter;
mod letter;
mod list;
mod redrive;
mod select;
mod show;
mod superseded;

use super::{Failure, Session};

/// List, show, redrive or discard dead letters: events that a cluster gave up on
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    List(list::Args),
    Show(show::Args),
    Redrive(redrive::Args),
    Discard(discard::Args),
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list::run(session, &args).await,
        Command::Show(args) => show::run(session, &args).await,
        Command::Redrive(args) => redrive::run(session, args).await,
        Command::Discard(args) => discard::run(session, args).await,
    }
}
