//! The state of the streams, for people and for scripts.

use std::{collections::BTreeMap, fmt};

use eso_relay::{
    command::Table,
    stream::{
        History, duration,
        history::{Fill, is_near_removal},
        position::Gap,
        verify::Problem,
    },
};
use jiff::Timestamp;
use serde::Serialize;

use super::receipts::Told;
use crate::cli::output::{ago, bytes};

#[derive(Serialize)]
pub(super) struct Report {
    pub(super) now: Timestamp,
    pub(super) streams: Vec<StreamStatus>,
    pub(super) clusters: Vec<ClusterStatus>,
    /// Per cluster, whether it still has a durable or not.
    pub(super) dead_letters: BTreeMap<String, u64>,
    /// Of the last hour, per cluster.
    pub(super) receipts: BTreeMap<String, Told>,
    /// Paths that it asks pollers to watch, per cluster.
    pub(super) watched: BTreeMap<String, u64>,
    /// What is missing or misdeclared, each with the command that puts it right.
    pub(super) problems: Vec<String>,
    /// Nothing is lost yet.
    pub(super) warnings: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct StreamStatus {
    pub(super) name: String,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// `None`: unlimited.
    pub(super) max_bytes: Option<u64>,
    /// Of its size, between 0 and 1; 0 without a limit.
    pub(super) fill: f64,
    /// `None`: unlimited.
    pub(super) max_age_seconds: Option<u64>,
    pub(super) replicas: usize,
    pub(super) first_sequence: u64,
    pub(super) first_time: Option<Timestamp>,
    pub(super) last_sequence: u64,
    pub(super) last_time: Option<Timestamp>,
}

/// Counts messages, each of one event or more.
#[derive(Serialize)]
pub(super) struct ClusterStatus {
    pub(super) cluster: String,
    /// Not yet delivered.
    pub(super) backlog: u64,
    /// Delivered and not yet acked.
    pub(super) in_flight: usize,
    /// Of those, delivered more than once.
    pub(super) redelivered: usize,
    /// Consumers that ask for messages now; 0 when none is running.
    pub(super) waiting_pulls: usize,
    pub(super) last_ack: Option<Timestamp>,
    pub(super) oldest_unacked: Option<Timestamp>,
    /// How near that message is to its removal from the stream, by age or size; 1 is removed.
    pub(super) expiry: f64,
    /// Removed before this cluster had acked them, at most; `None`: it is not known how many.
    pub(super) missed: Option<u64>,
    /// For what everything is still to be refreshed.
    pub(super) gap: Option<Gap>,
    /// Delivered, held by no consumer, and not delivered again.
    pub(super) stuck: u64,
    pub(super) paused: bool,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.streams(), self.clusters())?;
        if !self.receipts.is_empty() {
            write!(f, "\n{}", self.receipts())?;
        }
        let orphans = self
            .dead_letters
            .iter()
            .filter(|(name, _)| !self.has_durable(name));
        for (name, count) in orphans {
            writeln!(f, "{count} dead letters of {name}, which has no durable")?;
        }
        for cluster in self.clusters.iter().filter(|it| it.gap.is_some()) {
            let name = &cluster.cluster;
            let missed = match cluster.missed {
                Some(missed) => format!("up to {missed} messages"),
                None => "an unknown number of messages".to_owned(),
            };
            writeln!(
                f,
                "{name} missed {missed}: its consumers refresh everything when they come back, or do so now"
            )?;
        }
        for cluster in self.clusters.iter().filter(|cluster| cluster.stuck > 0) {
            writeln!(
                f,
                "{0} has {1} messages that the server does not deliver again: its consumers refreshed everything for them; look for storage errors in the server's log",
                cluster.cluster, cluster.stuck
            )?;
        }
        for (cluster, paths) in &self.watched {
            writeln!(f, "{cluster} asks pollers to watch {paths} paths")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}

impl Report {
    pub(super) fn problem(&mut self, verified: Result<Option<Problem>, Problem>) {
        let problem = verified.unwrap_or_else(Some);
        self.problems.extend(problem.map(|it| it.to_string()));
    }

    pub(super) fn filling(&mut self, history: &History) {
        if history.fill(Fill::Roomy) > Fill::Roomy {
            self.warnings.push(history.to_string());
        }
    }

    pub(super) fn near_removal(&mut self, cluster: &ClusterStatus) {
        if !is_near_removal(cluster.expiry, false) {
            return;
        }
        let (name, percent) = (&cluster.cluster, (100.0 * cluster.expiry).floor());
        let oldest = match cluster.oldest_unacked {
            None => String::new(),
            oldest => format!(", of {},", ago(self.now, oldest)),
        };
        self.warnings.push(format!(
            "{name} is about to miss events: the first message{oldest} that it has not acked is {percent} % on its way out of the stream; start its consumers, or raise --max-age or --max-bytes"
        ));
    }

    fn has_durable(&self, name: &str) -> bool {
        self.clusters.iter().any(|cluster| cluster.cluster == name)
    }

    fn streams(&self) -> Table {
        let mut table = Table::new(&[
            "STREAM",
            "MESSAGES",
            "SIZE",
            "LIMIT",
            "KEEPS",
            "REPLICAS",
            "SEQUENCES",
            "FIRST",
            "LAST",
        ]);
        for stream in &self.streams {
            let unlimited = || "unlimited".to_owned();
            let keeps = stream.max_age_seconds.map(std::time::Duration::from_secs);
            table.row(vec![
                stream.name.clone(),
                stream.messages.to_string(),
                bytes(stream.bytes),
                stream.max_bytes.map_or_else(unlimited, |max| {
                    format!("{} ({:.0} %)", bytes(max), (100.0 * stream.fill).floor())
                }),
                keeps.map_or_else(unlimited, duration),
                stream.replicas.to_string(),
                match stream.messages {
                    0 => "-".to_owned(),
                    _ => format!("{}–{}", stream.first_sequence, stream.last_sequence),
                },
                ago(self.now, stream.first_time),
                ago(self.now, stream.last_time),
            ]);
        }
        table
    }

    fn clusters(&self) -> Table {
        let mut table = Table::new(&[
            "CLUSTER",
            "BACKLOG",
            "IN FLIGHT",
            "REDELIVERED",
            "PULLS",
            "LAST ACK",
            "OLDEST UNACKED",
            "MISSED",
            "DEAD LETTERS",
        ]);
        for cluster in &self.clusters {
            let paused = if cluster.paused { " (paused)" } else { "" };
            table.row(vec![
                format!("{}{paused}", cluster.cluster),
                cluster.backlog.to_string(),
                cluster.in_flight.to_string(),
                cluster.redelivered.to_string(),
                cluster.waiting_pulls.to_string(),
                ago(self.now, cluster.last_ack),
                ago(self.now, cluster.oldest_unacked),
                cluster
                    .missed
                    .map_or_else(|| "all".to_owned(), |missed| missed.to_string()),
                self.dead_letters
                    .get(&cluster.cluster)
                    .unwrap_or(&0)
                    .to_string(),
            ]);
        }
        table
    }

    /// In which cluster did what of the last hour arrive?
    fn receipts(&self) -> Table {
        let mut table = Table::new(&[
            "LAST HOUR",
            "EVENTS",
            "UNMATCHED",
            "OBJECTS",
            "SYNCED",
            "FAILED",
            "SILENT",
            "SUPERSEDED",
            "SKIPPED",
        ]);
        for (cluster, told) in &self.receipts {
            let Told {
                events,
                unmatched,
                matched,
                synced,
                failed,
                silent,
                superseded,
                skipped,
            } = told;
            let counts = [
                events, unmatched, matched, synced, failed, silent, superseded, skipped,
            ];
            let row = counts.into_iter().map(usize::to_string);
            table.row([cluster.clone()].into_iter().chain(row).collect());
        }
        table
    }
}
