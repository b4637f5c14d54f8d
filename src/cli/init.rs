//! `eso-relay init`

use std::{fmt, time::Duration};

use eso_relay::{
    Slug,
    command::Table,
    stream::{
        Start,
        provision::{self, Action, Change, ProvisionError, Wanted},
    },
};
use jiff::Timestamp;
use serde::Serialize;

use super::{
    Failure, Session,
    parse::{self, Since},
};

/// Declare the streams, and a durable for each cluster
///
/// Run it again whenever you like: what is right stays as it is, what was not named keeps its
/// value, nothing is ever deleted, and a change that would lose stored messages is refused (exit
/// code 3).
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  eso-relay init --cluster east                                  a laptop
  eso-relay init --cluster east --replicas 3 --max-bytes 10GiB   production
  eso-relay init --cluster west                                  one more cluster, all else kept")]
pub(super) struct Args {
    /// A cluster that has consumers (repeat it for more)
    #[arg(long = "cluster", value_name = "CLUSTER")]
    clusters: Vec<Slug>,
    /// Where a cluster that is new starts: `now`, `oldest` (stored event), how long ago, or a moment
    #[arg(long, value_name = "WHEN", default_value = "now", value_parser = start, requires = "clusters")]
    start: Begin,
    /// How many servers hold each stream: 1, or 3 in production [default: as it is, else 1]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: Option<u8>,
    /// How long a cluster may be away without missing events [default: as it is, else 72h]
    #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
    max_age: Option<Duration>,
    /// The size of the events stream: the oldest events go when it is full [default: as it is, else 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse::bytes)]
    max_bytes: Option<i64>,
}

/// Where to start, as it is written.
#[derive(Debug, Clone, Copy)]
enum Begin {
    Now,
    Oldest,
    Since(Since),
}

fn start(text: &str) -> Result<Begin, String> {
    match text {
        "now" => Ok(Begin::Now),
        "oldest" => Ok(Begin::Oldest),
        _ => parse::since(text).map(Begin::Since).map_err(|advice| {
            format!(
                "write now, oldest, or {}",
                advice.trim_start_matches("write ")
            )
        }),
    }
}

impl Begin {
    fn at(self, now: Timestamp) -> Result<Start, Failure> {
        let future = || Failure::Usage("--start lies in the future".to_owned());
        Ok(match self {
            Self::Now => Start::Now,
            Self::Oldest => Start::Oldest,
            Self::Since(since) => Start::At(since.before(now).ok_or_else(future)?),
        })
    }
}

#[derive(Serialize)]
struct Report {
    changes: Vec<Change>,
    /// What is left to do by hand.
    notes: Vec<&'static str>,
}

/// A running server goes on with what it began with (nats-server 2.15.2), and says otherwise.
const STILL_COMPRESSES: &str = "each nats-server goes on compressing until it is restarted: restart them, one after the other; what is compressed already stays so until --max-age";

impl Report {
    fn new(changes: Vec<Change>) -> Self {
        let compressed = changes.iter().any(|change| match &change.action {
            Action::Updated(differences) => {
                differences.iter().any(|it| it.setting == "compression")
            }
            Action::Created | Action::Unchanged => false,
        });
        Self {
            changes,
            notes: compressed.then_some(STILL_COMPRESSES).into_iter().collect(),
        }
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let start = args.start.at(session.now())?;
    let jetstream = session.jetstream().await?;
    let wanted = Wanted {
        replicas: args.replicas.map(usize::from),
        max_age: args.max_age,
        max_bytes: args.max_bytes,
    };
    let mut changes = provision::streams(&jetstream, &wanted, session.now())
        .await
        .map_err(failure)?;
    for cluster in &args.clusters {
        changes.push(
            provision::durable(&jetstream, cluster, start)
                .await
                .map_err(failure)?,
        );
    }
    Ok(session.print(&Report::new(changes))?)
}

fn failure(error: ProvisionError) -> Failure {
    match error {
        ProvisionError::WouldLose { .. } | ProvisionError::CannotChange { .. } => {
            Failure::Refused(error.to_string())
        }
        ProvisionError::NoStream | ProvisionError::Server { .. } => Failure::Failed(error.into()),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["WHAT", "RESULT", "SETTINGS"]);
        for Change { item, action } in &self.changes {
            let (result, settings) = match action {
                Action::Created => ("created", String::new()),
                Action::Unchanged => ("unchanged", String::new()),
                Action::Updated(differences) => {
                    let settings = differences
                        .iter()
                        .map(|d| format!("{}: {} → {}", d.setting, d.old, d.new))
                        .collect::<Vec<_>>();
                    ("updated", settings.join(", "))
                }
            };
            table.row(vec![item.to_string(), result.to_owned(), settings]);
        }
        table.fmt(f)?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}
