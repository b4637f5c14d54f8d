//! `eso-relay replay`: what changed since a moment, once more, for one cluster.

mod report;
mod select;

use async_nats::jetstream::Context;
use eso_relay::{
    Event, Slug,
    event::decode_batch,
    stream::{Start, Stream, verify},
    traceparent::TraceParent,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use self::{report::Report, select::Selection};
use super::{
    Failure, Output, Session,
    again::again,
    audit::Verb,
    confirm::{confirm, must_not_ask_in_vain},
    output::timestamp,
    parse::{self, Since},
    progress::Progress,
    publish::publish,
    scan::{Scan, scan},
};

/// How many messages wait for their PubAck at a time.
const IN_FLIGHT: usize = 64;

/// Publish again what changed since a moment, for one cluster only
///
/// Of the events that mean the same only the newest is published again, under an id of its own, so
/// that the refresh really happens again, and with its times as they were. Other clusters ignore it.
/// Refreshes of everything (`resync`, `send --all`) are left out unless --source names their source.
/// A cluster that was away needs no replay: its durable goes on where it stopped.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  eso-relay replay --cluster east --since 2h --dry-run
  eso-relay replay --cluster east --since 2026-01-31T08:00:00Z --source akeyless-prod --yes
  eso-relay replay --cluster east --since 1d --key /prod/db")]
pub(super) struct Args {
    /// The cluster that refreshes again
    #[arg(long)]
    cluster: Slug,
    /// How long ago (90m, 2h, 3d), or a moment (2026-01-31T08:00:00Z)
    #[arg(long, value_name = "T", value_parser = parse::since)]
    since: Since,
    /// Only events of this source
    #[arg(long)]
    source: Option<Slug>,
    /// Only events that name this key, or a path above it (repeat it for more)
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// Restart the workloads that read it as well, where restarts are on; without it a replay restarts none
    #[arg(long)]
    restart: bool,
    /// Say what would be published, and stop
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let now = session.now();
    let since = args.since.of("--since", now)?;
    must_not_ask_in_vain(args.yes, args.dry_run)?;
    let jetstream = session.jetstream().await?;
    // A misspelt cluster would refresh nothing.
    verify::durable(&jetstream, &args.cluster).await?;

    let selection = select(&jetstream, &args, since).await?;
    let mut report = Report::new(&args.cluster, since, &selection);
    let events = renamed(selection, now, args.restart);
    report.list(&events);
    if args.dry_run || events.is_empty() {
        return Ok(session.print(&report)?);
    }
    if session.output() == Output::Text {
        session.print(&report)?;
    }
    if !args.yes {
        let (events, cluster) = (events.len(), &args.cluster);
        confirm(&format!("Publish {events} events for cluster {cluster}?"))?;
    }
    report.published = publish_all(&jetstream, &events).await?;
    session
        .record(&jetstream, Verb::Replay, report.published, None)
        .await;
    match session.output() {
        Output::Json => session.print(&report)?,
        Output::Text => eprintln!("published {} events", report.published),
    }
    Ok(())
}

async fn select(jetstream: &Context, args: &Args, since: Timestamp) -> anyhow::Result<Selection> {
    // Who names the source of a resync asks for it.
    let resyncs = args.source.is_some();
    let mut selection = Selection::new(args.cluster.clone(), args.keys.clone(), resyncs);
    let filter = match &args.source {
        Some(source) => format!("eso-relay.events.*.*.{source}"),
        None => Stream::Events.subjects().to_owned(),
    };
    let wanted = Scan {
        stream: Stream::Events,
        filter,
        start: Start::At(since).into(),
        headers_only: false,
    };
    scan(jetstream, wanted, |message, info| {
        selection.message(timestamp(info.published), decode_batch(&message.payload));
    })
    .await?;
    Ok(selection)
}

fn renamed(selection: Selection, now: Timestamp, restart: bool) -> Vec<Event> {
    let run = TraceParent::random().trace_id();
    let events = selection.into_events().into_iter().enumerate();
    events
        .map(|(at, event)| Event {
            restart,
            ..again(event, format!("replay-{run}-{at}"), now)
        })
        .collect()
}

async fn publish_all(jetstream: &Context, events: &[Event]) -> anyhow::Result<usize> {
    let mut progress = Progress::new("published", events.len() as u64);
    let mut published = 0;
    let mut acks = stream::iter(events)
        .map(|event| publish(jetstream, event))
        .buffered(IN_FLIGHT);
    loop {
        match acks.try_next().await {
            Ok(Some(_)) => {
                published += 1;
                progress.step();
            }
            Ok(None) => return Ok(published),
            Err(error) => {
                let all = events.len();
                return Err(error.context(format!(
                    "{published} of {all} events were published; run it again for the rest (refreshing twice does no harm)"
                )));
            }
        }
    }
}
