//! `eso-relay dead redrive`: another try for what a cluster gave up on.

use std::{fmt, time::Duration};

use anyhow::Context as _;
use async_nats::jetstream::{Context, stream};
use eso_relay::{Event, command::Table, stream::Stream};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    letter::Letter,
    select::{Which, remove},
    superseded,
};
use crate::cli::{
    Failure, Output, Session,
    again::{again, narrowed},
    audit::Verb,
    clusters,
    output::timestamp,
    progress::Progress,
    publish::publish,
};

/// An event that fails again this often has a cause that another try does not remove.
const TRIES: u32 = 3;
/// More is for `--output json`.
const SHOWN: usize = 20;

/// Publish events of dead letters again, each for the cluster that gave it up, and remove the letters
///
/// Each is published under an id of its own, with its times as they were, and its letter is removed once the stream
/// has it: what is interrupted is run again for the rest. Left out are letters that a newer event has superseded, those of
/// clusters that do not exist any more, what this version cannot read, and what was redriven three times before.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  eso-relay dead redrive 17 18
  eso-relay dead redrive --reason refused --since 2h --dry-run
  eso-relay dead redrive --cluster east --error 'admission webhook' --yes")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Also what a newer event has superseded
    #[arg(long)]
    superseded: bool,
    /// Also what was redriven three times before
    #[arg(long)]
    force: bool,
    /// Restart the workloads that read it as well, where restarts are on; without it a redrive restarts none
    #[arg(long)]
    restart: bool,
    /// How many in a second
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
}

/// A letter, and what is published for it.
struct Redrive {
    sequence: u64,
    events: Vec<Event>,
}

#[derive(Serialize)]
struct Report {
    left_out: LeftOut,
    /// Beyond `--max`.
    more: usize,
    redriven: usize,
    dead_letters: Vec<Letter>,
}

/// Letters that stay.
#[derive(Default, Serialize)]
struct LeftOut {
    superseded: usize,
    unreadable: usize,
    too_often: usize,
    no_cluster: usize,
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    args.which.check()?;
    let jetstream = session.jetstream().await?;
    let mut selection = args.which.select(session, &jetstream).await?;
    superseded::look(&jetstream, &mut selection.letters).await?;
    let name = Stream::Dead.name();
    let dead = jetstream.get_stream(name).await;
    let dead = dead.with_context(|| format!("cannot look at stream {name}"))?;
    let created = timestamp(dead.cached_info().created);

    let mut report = Report {
        left_out: LeftOut::default(),
        more: selection.more,
        redriven: 0,
        dead_letters: Vec::new(),
    };
    let clusters = clusters::names(&jetstream).await?;
    let mut plan = Vec::new();
    for letter in selection.letters {
        let left_out = &mut report.left_out;
        if letter.superseded_by.is_some() && !args.superseded {
            left_out.superseded += 1;
        } else if letter.redriven() >= TRIES && !args.force {
            left_out.too_often += 1;
        } else if !clusters.contains(&letter.cluster) {
            left_out.no_cluster += 1;
        } else {
            match redrive(&letter, created, session.now(), args.restart) {
                Some(redrive) => {
                    plan.push(redrive);
                    report.dead_letters.push(letter);
                }
                None => left_out.unreadable += 1,
            }
        }
    }

    if session.output() == Output::Text {
        session.print(&report)?;
    }
    let all = plan.len();
    let question = format!("Redrive {all} dead letters?");
    if args.which.agreed(all, &question)? {
        let done = publish_all(&jetstream, &dead, plan, args.rate, &mut report.redriven).await;
        let redriven = report.redriven;
        session
            .record(&jetstream, Verb::Redrive, redriven, None)
            .await;
        done.with_context(|| {
            format!("{redriven} of {all} dead letters were redriven; run it again for the rest")
        })?;
        if session.output() == Output::Text {
            eprintln!("redriven {redriven}");
        }
    }
    if session.output() == Output::Json {
        session.print(&report)?;
    }
    match report.left_out.unreadable {
        0 => Ok(()),
        count => Err(Failure::Refused(format!(
            "{count} dead letters cannot be read by this version: upgrade eso-relay and its consumers, then run it again"
        ))),
    }
}

/// The id derives from the letter: what is published twice within the duplicate window is stored once.
fn redrive(letter: &Letter, created: Timestamp, now: Timestamp, restart: bool) -> Option<Redrive> {
    let events = letter.events.clone()?.into_iter().enumerate();
    let (sequence, created) = (letter.sequence, created.as_second());
    let events = events.map(|(at, event)| {
        let mut event = again(event, format!("redrive-{sequence}-{created}-{at}"), now);
        event.target = Some(narrowed(event.target, &letter.cluster));
        event.origin.redriven += 1;
        event.restart = restart;
        event
    });
    Some(Redrive {
        sequence,
        events: events.collect(),
    })
}

/// `redriven` counts those whose letters are removed.
async fn publish_all<I>(
    jetstream: &Context,
    dead: &stream::Stream<I>,
    plan: Vec<Redrive>,
    rate: u32,
    redriven: &mut usize,
) -> anyhow::Result<()> {
    let mut progress = Progress::new("redriven", plan.len() as u64);
    let mut pace = interval(Duration::from_secs(1) / rate);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for redrive in plan {
        pace.tick().await;
        for event in &redrive.events {
            publish(jetstream, event).await?;
        }
        // A crash before this publishes again, which costs a refresh.
        remove(dead, redrive.sequence).await?;
        *redriven += 1;
        progress.step();
    }
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LeftOut {
            superseded,
            unreadable,
            too_often,
            no_cluster,
        } = self.left_out;
        for (count, why) in [
            (
                superseded,
                "superseded by a newer event (--superseded includes them)",
            ),
            (
                too_often,
                "redriven three times before (--force includes them)",
            ),
            (
                no_cluster,
                "of clusters that do not exist (`eso-relay dead discard` removes them)",
            ),
            (unreadable, "not readable by this version"),
        ] {
            if count > 0 {
                writeln!(f, "left out    {count} {why}")?;
            }
        }
        if self.more > 0 {
            writeln!(
                f,
                "left out    {} beyond --max: run it again for them",
                self.more
            )?;
        }
        if self.dead_letters.is_empty() {
            return writeln!(f, "to redrive  nothing");
        }
        writeln!(f, "to redrive  {}", self.dead_letters.len())?;
        let mut table = Table::new(&["SEQ", "CLUSTER", "REASON", "SOURCE", "KEYS"]);
        for letter in self.dead_letters.iter().take(SHOWN) {
            table.row(vec![
                letter.sequence.to_string(),
                letter.cluster.clone(),
                letter.reason.clone(),
                letter.source.clone(),
                letter.keys.join(" "),
            ]);
        }
        write!(f, "\n{table}")?;
        match self.dead_letters.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => writeln!(f, "… and {more} more (--output json lists all)"),
        }
    }
}
