//! The way of an event, for people and for scripts.

use std::fmt;

use anyhow::bail;
use eso_relay::{
    Slug,
    command::Table,
    event::Fingerprint,
    stream::{Receipt, receipt::Counts},
};
use jiff::Timestamp;
use serde::Serialize;

use super::find::Found;

#[derive(Serialize)]
pub(super) struct Report {
    /// `None` when the event is not in the stream any more.
    event: Option<String>,
    fingerprint: Fingerprint,
    source: Slug,
    trace_id: Option<String>,
    received_at: Timestamp,
    stored_at: Option<Timestamp>,
    sequence: u64,
    clusters: Vec<Cluster>,
}

#[derive(Serialize)]
pub(super) struct Cluster {
    pub(super) cluster: Slug,
    #[serde(flatten)]
    pub(super) answer: Answer,
}

/// What a cluster has said so far.
#[derive(Serialize)]
#[serde(tag = "state", content = "detail", rename_all = "snake_case")]
pub(super) enum Answer {
    /// The event is for other clusters.
    Elsewhere,
    /// Not delivered yet.
    Waiting {
        backlog: u64,
    },
    /// Delivered, and not told of yet.
    InFlight,
    Receipt(Receipt),
    DeadLettered {
        reason: String,
        receipt: Option<Receipt>,
    },
    /// Done with, and no receipt is there (any more).
    Unknown,
}

/// Whether anything is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    Open,
    /// A receipt may come, or not.
    Unknown,
    Over,
}

impl Report {
    pub(super) fn new(found: &Found, clusters: Vec<Cluster>) -> Self {
        let stored = found.stored.as_ref();
        Self {
            event: stored.map(|stored| stored.event.id.clone()),
            fingerprint: found.fingerprint,
            source: found.source.clone(),
            trace_id: found.trace_id.clone(),
            received_at: found.received_at,
            stored_at: stored.map(|stored| stored.at),
            sequence: found.sequence,
            clusters,
        }
    }

    /// How far the least of the clusters is.
    pub(super) fn progress(&self) -> Progress {
        let progress = |it: &Cluster| match &it.answer {
            Answer::Waiting { .. } | Answer::InFlight => Progress::Open,
            Answer::Receipt(receipt) if !receipt.last => Progress::Open,
            // A dead letter is written first, and the receipt of its event follows.
            Answer::DeadLettered { receipt, .. } => match receipt {
                Some(receipt) if receipt.last => Progress::Over,
                Some(_) => Progress::Open,
                None => Progress::Unknown,
            },
            Answer::Unknown => Progress::Unknown,
            Answer::Receipt(_) | Answer::Elsewhere => Progress::Over,
        };
        let least = self.clusters.iter().map(progress).min();
        least.unwrap_or(Progress::Over)
    }

    /// Whether all is well everywhere.
    pub(super) fn verdict(&self) -> anyhow::Result<()> {
        let is_well = |answer: &Answer| match answer {
            Answer::Elsewhere => true,
            Answer::Receipt(receipt) => receipt.is_well(),
            _ => false,
        };
        let not = self.clusters.iter().filter(|it| !is_well(&it.answer));
        let not: Vec<_> = not.map(|it| it.cluster.as_str()).collect();
        if !not.is_empty() {
            bail!("not refreshed, or not known to be, in {}", not.join(", "));
        }
        Ok(())
    }

    fn after(&self, at: Option<Timestamp>) -> String {
        let Some(at) = at else {
            return String::new();
        };
        let after = at.duration_since(self.received_at).as_millis();
        format!("+{} ms", after.max(0))
    }

    /// A line for each step, in the order of time.
    fn steps(&self, receipt: &Receipt) -> Vec<(String, String)> {
        let Counts {
            patched,
            gone,
            refused,
            gave_up,
            superseded,
            synced,
            failed,
            silent,
            restarted,
            rolled_out,
            not_restarted,
        } = receipt.counts;
        let mut steps = Vec::new();
        let mut step = |at: Option<Timestamp>, count: usize, what: &str| {
            if count > 0 {
                steps.push((self.after(at), format!("{what} {count}")));
            }
        };
        let taken = Some(receipt.taken_at);
        step(taken, receipt.matched, "matched");
        for (reason, count) in &receipt.skipped {
            step(taken, *count, &format!("skipped ({reason})"));
        }
        step(receipt.patched_at, patched, "patched");
        step(receipt.patched_at, gone, "gone");
        step(receipt.patched_at, refused, "refused by the API");
        step(receipt.patched_at, gave_up, "given up");
        let what = "answered for by a newer event";
        step(receipt.patched_at, superseded, what);
        step(receipt.observed_at, synced, "synced by ESO");
        step(receipt.observed_at, failed, "ESO failed with");
        step(receipt.observed_at, silent, "no word from ESO about");
        step(receipt.restarted_at, restarted, "restarted");
        step(receipt.restarted_at, rolled_out, "rolled out");
        step(receipt.restarted_at, not_restarted, "not restarted");
        if receipt.last {
            let what = "the consumer stopped before a word from ESO about";
            step(None, receipt.unobserved(), what);
            let what = "the consumer stopped before it restarted";
            step(None, receipt.unrestarted(), what);
        }
        if receipt.matched + receipt.workloads == 0 && receipt.skipped.is_empty() {
            steps.push((self.after(taken), "matched nothing".to_owned()));
        } else if !receipt.last {
            let what = if receipt.unobserved() > 0 {
                "waiting for ESO"
            } else {
                "waiting to restart workloads"
            };
            steps.push((String::new(), what.to_owned()));
        }
        let named = receipt.examples.iter();
        steps.extend(named.map(|it| (String::new(), format!("  {}: {}", it.object, it.what))));
        steps
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gone = "not in the stream any more";
        writeln!(f, "event        {}", self.event.as_deref().unwrap_or(gone))?;
        writeln!(f, "fingerprint  {}", self.fingerprint)?;
        if let Some(trace_id) = &self.trace_id {
            writeln!(f, "trace        {trace_id}")?;
        }
        writeln!(f)?;
        let mut table = Table::new(&["AFTER", "CLUSTER", "STEP"]);
        let mut row = |after: String, cluster: &str, step: String| {
            table.row(vec![after, cluster.to_owned(), step]);
        };
        let received = format!("received by source {} at {}", self.source, self.received_at);
        row("+0 ms".to_owned(), "", received);
        if self.stored_at.is_some() {
            let stored = format!("stored as {}", self.sequence);
            row(self.after(self.stored_at), "", stored);
        }
        for Cluster { cluster, answer } in &self.clusters {
            let cluster = cluster.as_str();
            let mut say = |text: String| row(String::new(), cluster, text);
            match answer {
                Answer::Elsewhere => say("not meant for it".to_owned()),
                Answer::Waiting { backlog } => say(format!("waiting; backlog {backlog}")),
                Answer::InFlight => say("delivered".to_owned()),
                Answer::Unknown => say("done with; there is no receipt".to_owned()),
                Answer::Receipt(receipt) => {
                    for (after, step) in self.steps(receipt) {
                        row(after, cluster, step);
                    }
                }
                Answer::DeadLettered { reason, receipt } => {
                    for (after, step) in receipt.iter().flat_map(|it| self.steps(it)) {
                        row(after, cluster, step);
                    }
                    let letter = format!("dead letter ({reason}): `eso-relay dead list`");
                    row(String::new(), cluster, letter);
                }
            }
        }
        write!(f, "{table}")
    }
}
