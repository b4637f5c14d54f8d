//! `eso-relay trace`: what became of an event, in every cluster.

mod find;
mod follow;
mod report;

use std::time::{Duration, Instant};

use eso_relay::Slug;

use self::report::Progress;
use super::{Failure, Session};

/// How often it looks again with --wait.
const EVERY: Duration = Duration::from_millis(250);
/// A receipt follows the ack of its message within so long, if it comes.
const RECEIPT: Duration = Duration::from_secs(5);

/// Show what became of an event, from the webhook to the sync by ESO, in every cluster
///
/// The event is found by its id, or by its fingerprint, which is the value of the annotation
/// eso-relay.dev/refresh on what it has refreshed.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The event's id or fingerprint
    event: String,
    /// Until every cluster has answered; fails if one refreshed less than it matched
    #[arg(long)]
    wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Only this cluster
    #[arg(long, value_name = "NAME")]
    cluster: Option<Slug>,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<(), Failure> {
    let jetstream = session.jetstream().await?;
    let found = find::find(&jetstream, &args.event).await?;
    let started = Instant::now();
    let mut unknown_since = None;
    loop {
        let report = follow::follow(&jetstream, &found, args.cluster.as_ref()).await?;
        if !args.wait {
            return Ok(session.print(&report)?);
        }
        let over = match report.progress() {
            Progress::Open => false,
            Progress::Unknown => unknown_since.get_or_insert_with(Instant::now).elapsed() > RECEIPT,
            Progress::Over => true,
        };
        if over || started.elapsed() > args.timeout {
            session.print(&report)?;
            return report.verdict().map_err(Failure::from);
        }
        tokio::time::sleep(EVERY).await;
    }
}
