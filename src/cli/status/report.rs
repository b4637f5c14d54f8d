//! The state of the streams, for people and for scripts.

use std::{collections::BTreeMap, fmt};

use eso_relay::command::Table;
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
    /// Each names the command that mends it.
    pub(super) problems: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct StreamStatus {
    pub(super) name: String,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// `None`: unlimited.
    pub(super) max_bytes: Option<u64>,
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
    /// Removed by retention before this cluster had acked them.
    pub(super) missed: u64,
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
        for cluster in self.clusters.iter().filter(|cluster| cluster.missed > 0) {
            writeln!(
                f,
                "{0} missed up to {1} messages: its consumers refresh everything when they come back",
                cluster.cluster, cluster.missed
            )?;
        }
        Ok(())
    }
}

impl Report {
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
                stream.max_bytes.map_or_else(unlimited, bytes),
                keeps.map_or_else(unlimited, |age| humantime::format_duration(age).to_string()),
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
                cluster.missed.to_string(),
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
