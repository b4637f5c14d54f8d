//! `eso-relay init`

use std::{fmt, time::Duration};

use async_nats::jetstream::Context;
use eso_relay::{
    Slug,
    command::Table,
    stream::{
        Start,
        provision::{self, Action, Change, Left, Member, ProvisionError, Wanted},
    },
};
use jiff::Timestamp;
use serde::Serialize;

use super::{
    Failure, Session,
    audit::Verb,
    confirm::{ADD_YES, can_ask, confirm},
    parse::{self, Since},
};

/// Declare the streams, and a durable for each cluster
///
/// Run it again whenever you like: what is right stays as it is, what was not named keeps its
/// value, and a change that would lose events that a cluster has not acked is refused (exit code 3).
///
/// A shorter --max-age removes older events. If every cluster has acked them, it asks first, or
/// takes --yes; they cannot be replayed then.
///
/// --remove-cluster removes a cluster's durable and its position, after its consumers have stopped.
/// Its dead letters and receipts stay until they expire.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  eso-relay init --cluster east                                  a laptop
  eso-relay init --cluster east --replicas 3 --max-bytes 10GiB   production
  eso-relay init --cluster west                                  one more cluster, all else kept
  eso-relay init --max-age 24h --yes                             keep less
  eso-relay init --remove-cluster west --yes                     one cluster less, all else kept")]
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
    /// A cluster to remove, whose consumers have been stopped (repeat it for more)
    #[arg(
        long = "remove-cluster",
        value_name = "CLUSTER",
        conflicts_with_all = ["clusters", "replicas", "max_age", "max_bytes"]
    )]
    remove: Vec<Slug>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
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
    /// Of removed clusters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<Left>,
    /// What is left to do or to know.
    notes: Vec<String>,
}

/// A running server goes on with what it began with (nats-server 2.15.2), and says otherwise.
const STILL_COMPRESSES: &str = "each nats-server goes on compressing until it is restarted: restart them, one after the other; what is compressed already stays so until --max-age";

impl Report {
    /// How many streams, durables and positions are not as they were.
    fn changed(&self) -> usize {
        let is_change = |it: &&Change| !matches!(it.action, Action::Unchanged | Action::Absent);
        self.changes.iter().filter(is_change).count()
    }

    fn declared(changes: Vec<Change>) -> Self {
        let compressed = changes.iter().any(|change| match &change.action {
            Action::Updated(differences) => {
                differences.iter().any(|it| it.setting == "compression")
            }
            _ => false,
        });
        Self {
            changes,
            left: Vec::new(),
            notes: compressed
                .then(|| STILL_COMPRESSES.to_owned())
                .into_iter()
                .collect(),
        }
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let jetstream = session.jetstream().await?;
    let report = if args.remove.is_empty() {
        declare(session, &jetstream, &args).await?
    } else {
        remove(&jetstream, &args).await?
    };
    session
        .record(&jetstream, Verb::Init, report.changed(), None)
        .await;
    Ok(session.print(&report)?)
}

async fn declare(session: &Session, jetstream: &Context, args: &Args) -> Result<Report, Failure> {
    let start = args.start.at(session.now())?;
    let mut wanted = Wanted {
        replicas: args.replicas.map(usize::from),
        max_age: args.max_age,
        max_bytes: args.max_bytes,
        forget: args.yes,
    };
    let mut changes = provision::streams(jetstream, &wanted, session.now()).await;
    if let Err(error @ ProvisionError::WouldForget { .. }) = &changes {
        if !can_ask() {
            return Err(Failure::Refused(format!("refused: {error}; {ADD_YES}")));
        }
        confirm(&format!("{error}. Remove it?"))?;
        wanted.forget = true;
        changes = provision::streams(jetstream, &wanted, session.now()).await;
    }
    let mut changes = changes.map_err(failure)?;
    for cluster in &args.clusters {
        changes.push(
            provision::durable(jetstream, cluster, start)
                .await
                .map_err(failure)?,
        );
    }
    Ok(Report::declared(changes))
}

async fn remove(jetstream: &Context, args: &Args) -> Result<Report, Failure> {
    if !args.yes && !can_ask() {
        return Err(Failure::Usage(ADD_YES.to_owned()));
    }
    let mut members = Vec::new();
    for cluster in &args.remove {
        let member = Member::find(jetstream, cluster).await.map_err(failure)?;
        members.push(member);
    }
    if !args.yes && members.iter().any(Member::exists) {
        let each = members.iter().filter(|member| member.exists());
        let each = each.map(|it| format!("{} (messages not acked: {})", it.cluster, it.unacked()));
        let each: Vec<_> = each.collect();
        confirm(&format!("Remove {}?", each.join(", ")))?;
    }
    let mut report = Report {
        changes: Vec::new(),
        left: Vec::new(),
        notes: Vec::new(),
    };
    for member in members {
        let (changes, left) = member.remove(jetstream).await.map_err(failure)?;
        if changes.iter().all(|change| change.action == Action::Absent) {
            report.notes.push(format!(
                "there is no cluster {} (`eso-relay status` lists the clusters)",
                left.cluster
            ));
        }
        report.changes.extend(changes);
        report.left.push(left);
    }
    Ok(report)
}

fn failure(error: ProvisionError) -> Failure {
    match error {
        ProvisionError::WouldLose { .. }
        | ProvisionError::WouldForget { .. }
        | ProvisionError::InUse(_)
        | ProvisionError::CannotChange { .. } => Failure::Refused(error.to_string()),
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
                Action::Removed => ("removed", String::new()),
                Action::Absent => ("not there", String::new()),
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
        for left in &self.left {
            let Left {
                cluster,
                dead_letters,
                receipts,
            } = left;
            writeln!(
                f,
                "left of {cluster}: {dead_letters} dead letters (`eso-relay dead list --cluster {cluster}`) and {receipts} receipts, until they expire"
            )?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}
