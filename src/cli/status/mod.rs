//! `eso-relay status`: is anything behind, stuck or lost?

mod collect;
mod receipts;
mod report;

use std::{io::IsTerminal as _, time::Duration};

use self::{collect::collect, report::Report};
use super::{Failure, Output, Session};

const EVERY: Duration = Duration::from_secs(2);

/// Show the streams, and how far each cluster is
///
/// BACKLOG: messages that wait. IN FLIGHT: messages that a consumer has. REDELIVERED: those of them
/// that were delivered more than once. PULLS: requests of the cluster's consumers; 0 means that none
/// is running. MISSED: messages that were removed before the cluster saw them; its consumers refresh
/// everything for them when they come back. Messages that the server does not deliver again are named
/// below the table.
///
/// A stream or durable that is missing or not as this version declares it is exit code 3. A stream that
/// fills up and a cluster that is about to miss events, from 80 % on, are warnings.
///
/// LAST HOUR counts the receipts: events, and the objects that they matched.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Again every two seconds, until Ctrl-C
    #[arg(long, short)]
    watch: bool,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<(), Failure> {
    let jetstream = session.jetstream().await?;
    loop {
        let report: Report = collect(&jetstream, session.now()).await?;
        let on_screen = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        if args.watch && session.output() == Output::Text && on_screen {
            // Clears the screen (ECMA-48), as `watch` does.
            eprint!("\x1b[H\x1b[2J");
        }
        session.print(&report)?;
        if !args.watch {
            return match report.problems.as_slice() {
                [] => Ok(()),
                problems => Err(Failure::Refused(problems.join("\n       "))),
            };
        }
        tokio::time::sleep(EVERY).await;
    }
}
