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
/// BACKLOG messages wait, IN FLIGHT ones are with a consumer, REDELIVERED ones were delivered more
/// than once. PULLS 0 means that no consumer of the cluster is asking. MISSED messages were removed
/// before the cluster saw them, and its consumers have not yet refreshed everything for that: they
/// do when they come back. Messages that the server does not deliver again are named below.
///
/// A stream or durable that is missing or not as this version declares it is exit code 3. A stream that
/// fills up and a cluster that is about to miss events, from 80 % on, are warnings.
///
/// LAST HOUR counts what the receipts say: events, and the objects that they mean.
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
