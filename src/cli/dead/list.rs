//! `eso-relay dead list`

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
};

use eso_relay::command::Table;
use jiff::Timestamp;
use serde::Serialize;

use super::{filter::Filter, letter::Letter, superseded};
use crate::cli::{Failure, Session, scan::scan};

/// The newest dead letters, or how many there are of each kind
///
/// SUPERSEDED names a newer event that has refreshed the same in that cluster since: such a letter needs no
/// redrive. For it, the events since the oldest listed letter are read.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    filter: Filter,
    /// Only counts, by cluster, reason and error
    #[arg(long)]
    group: bool,
    /// How many
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
}

#[derive(Serialize)]
struct List {
    dead_letters: VecDeque<Letter>,
}

#[derive(Serialize)]
struct Groups {
    groups: Vec<Group>,
}

/// Letters of one cluster, for one reason, with one error.
#[derive(Serialize)]
struct Group {
    cluster: String,
    reason: String,
    error: String,
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<(), Failure> {
    let wanted = args.filter.at(session.now())?;
    let jetstream = session.jetstream().await?;
    let mut newest = VecDeque::new();
    let mut groups: BTreeMap<_, Group> = BTreeMap::new();
    scan(&jetstream, wanted.scan(), |message, info| {
        let letter = Letter::of(message, info);
        if !wanted.takes(&letter) {
            return;
        }
        if args.group {
            let kind = (
                letter.cluster.clone(),
                letter.reason.clone(),
                letter.error.clone(),
            );
            groups
                .entry(kind)
                .or_insert_with(|| Group::of(&letter))
                .add(&letter);
        } else {
            newest.push_back(letter);
            if newest.len() > args.limit {
                newest.pop_front();
            }
        }
    })
    .await?;
    if args.group {
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        session.print(&Groups { groups })?;
    } else {
        superseded::look(&jetstream, newest.make_contiguous()).await?;
        session.print(&List {
            dead_letters: newest,
        })?;
    }
    Ok(())
}

impl Group {
    fn of(letter: &Letter) -> Self {
        Self {
            cluster: letter.cluster.clone(),
            reason: letter.reason.clone(),
            error: letter.error.clone(),
            count: 0,
            first: letter.time,
            last: letter.time,
        }
    }

    fn add(&mut self, letter: &Letter) {
        self.count += 1;
        self.last = letter.time;
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.dead_letters.is_empty() {
            return writeln!(f, "no dead letters");
        }
        let mut table = Table::new(&[
            "SEQ",
            "TIME",
            "CLUSTER",
            "REASON",
            "ATTEMPTS",
            "SUBJECT",
            "SUPERSEDED",
            "ERROR",
        ]);
        for letter in &self.dead_letters {
            table.row(vec![
                letter.sequence.to_string(),
                format!("{:.0}", letter.time),
                letter.cluster.clone(),
                letter.reason.clone(),
                letter.attempts.clone(),
                letter.event_subject.clone(),
                letter
                    .superseded_by
                    .clone()
                    .unwrap_or_else(|| "-".to_owned()),
                letter.error.clone(),
            ]);
        }
        table.fmt(f)
    }
}

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.groups.is_empty() {
            return writeln!(f, "no dead letters");
        }
        let mut table = Table::new(&["COUNT", "CLUSTER", "REASON", "FIRST", "LAST", "ERROR"]);
        for group in &self.groups {
            table.row(vec![
                group.count.to_string(),
                group.cluster.clone(),
                group.reason.clone(),
                format!("{:.0}", group.first),
                format!("{:.0}", group.last),
                group.error.clone(),
            ]);
        }
        table.fmt(f)
    }
}
