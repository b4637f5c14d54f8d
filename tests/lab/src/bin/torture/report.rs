//! What a campaign has seen, as a table for people or as JSON.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde::{Serialize, Serializer};

use super::{
    ledger::{Answers, Ledger},
    plan::{Fault, Plan},
};

/// Broken promises in the table.
const SHOWN: usize = 30;

/// Of streams with one replica, or with three.
#[derive(Debug, Serialize)]
pub(crate) struct Part {
    pub(crate) replicas: usize,
    /// Those that were begun.
    rounds: u64,
    faults: BTreeMap<&'static str, BTreeMap<Fault, u64>>,
    #[serde(flatten)]
    answers: Answers,
    /// Webhooks answered 202 that lack an effect or do not stand in the stream.
    lost: u64,
    /// Effects that took longer than promised.
    late: u64,
    #[serde(rename = "longest_wait_seconds", serialize_with = "seconds")]
    longest_wait: Duration,
    storage_errors: u64,
    /// Each promise that did not hold, in words.
    pub(crate) broken: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) held: bool,
    /// Why no disk was full, where none was.
    pub(crate) no_full_disks: Option<String>,
    /// Where the logs are, when a promise was broken.
    pub(crate) logs: Option<PathBuf>,
    pub(crate) campaigns: Vec<Part>,
}

impl Part {
    pub(crate) fn new(replicas: usize) -> Self {
        Self {
            replicas,
            rounds: 0,
            faults: BTreeMap::new(),
            answers: Answers::default(),
            lost: 0,
            late: 0,
            longest_wait: Duration::ZERO,
            storage_errors: 0,
            broken: Vec::new(),
        }
    }

    pub(crate) fn begins(&mut self, plan: &Plan) {
        self.rounds += 1;
        for hit in &plan.hits {
            let faults = self.faults.entry(hit.target.process()).or_default();
            *faults.entry(hit.fault).or_default() += 1;
        }
    }

    /// What a round has counted, at its end.
    pub(crate) fn takes(&mut self, ledger: &Ledger) {
        self.answers += ledger.answers;
        self.late += ledger.late;
        self.longest_wait = self.longest_wait.max(ledger.longest_wait);
        for it in &ledger.waiting {
            self.loses(format!("webhook {}, event {}: no effect", it.number, it.id));
        }
    }

    pub(crate) fn loses(&mut self, what: String) {
        self.lost += 1;
        self.breaks(what);
    }

    pub(crate) fn damage(&mut self, line: String) {
        self.storage_errors += 1;
        self.breaks(line);
    }

    pub(crate) fn breaks(&mut self, what: String) {
        self.broken.push(what);
    }

    fn count(&self, process: &str, fault: Fault) -> u64 {
        let faults = self.faults.get(process);
        let count = faults.and_then(|faults| faults.get(&fault));
        count.copied().unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, cell: &dyn Fn(&Part) -> String| {
            write!(f, "{name:<28}")?;
            for part in &self.campaigns {
                write!(f, "{:>10}", cell(part))?;
            }
            writeln!(f)
        };
        row("", &|part| format!("R{}", part.replicas))?;
        row("rounds", &|part| part.rounds.to_string())?;
        for (process, of) in [
            ("ingress", "ingress"),
            ("consumer", "consumers"),
            ("nats_server", "nats-servers"),
        ] {
            let disk = (process == "nats_server").then_some(Fault::DiskFull);
            for fault in [Fault::Kill, Fault::Hang].into_iter().chain(disk) {
                let count = |part: &Part| part.count(process, fault).to_string();
                row(&format!("{fault} of {of}"), &count)?;
            }
        }
        let wait = |part: &Part| format!("{:.1} s", part.longest_wait.as_secs_f64());
        row("webhooks accepted (202)", &|part| {
            part.answers.accepted.to_string()
        })?;
        row("refused (503)", &|part| part.answers.refused.to_string())?;
        row("unanswered", &|part| part.answers.unanswered.to_string())?;
        row("lost", &|part| part.lost.to_string())?;
        row("later than promised", &|part| part.late.to_string())?;
        row("longest wait", &wait)?;
        row("storage errors", &|part| part.storage_errors.to_string())?;
        if let Some(why) = &self.no_full_disks {
            writeln!(f, "\nNo disk was full: {why}")?;
        }
        let broken = || self.campaigns.iter().flat_map(|part| &part.broken);
        for what in broken().take(SHOWN) {
            writeln!(f, "BROKEN  {what}")?;
        }
        let more = broken().count().saturating_sub(SHOWN);
        if more > 0 {
            writeln!(f, "… and {more} more; --output json has all")?;
        }
        if let Some(logs) = &self.logs {
            writeln!(f, "The logs are kept in {}", logs.display())?;
        }
        let verdict = if self.held {
            "Every promise held"
        } else {
            "A promise was broken"
        };
        writeln!(f, "\n{verdict}. Seed {}.", self.seed)
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::campaign::Orders;

    fn report() -> Report {
        let orders = Orders {
            servers: 1,
            rounds: 1,
            seed: 1,
            small_disks: false,
        };
        let mut part = Part::new(1);
        part.begins(&Plan::of(orders, 1));
        part.answers.accepted = 7;
        part.longest_wait = Duration::from_millis(2_500);
        part.loses("event a".to_owned());
        Report {
            seed: 42,
            held: false,
            no_full_disks: None,
            logs: Some("/kept".into()),
            campaigns: vec![part],
        }
    }

    #[test]
    fn the_table_has_a_column_for_each_kind_of_stream() {
        let table = report().to_string();
        assert!(table.starts_with("                                    R1\nrounds "));
        assert!(table.contains("webhooks accepted (202)              7\n"));
        assert!(table.contains("longest wait                     2.5 s\n"));
        assert!(table.contains("BROKEN  event a\nThe logs are kept in /kept\n"));
        assert!(table.ends_with("A promise was broken. Seed 42.\n"));
    }

    #[test]
    fn json_has_the_same() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["seed"], 42);
        let part = &json["campaigns"][0];
        assert_eq!(part["replicas"], 1);
        assert_eq!(part["accepted"], 7);
        assert_eq!(part["lost"], 1);
        assert_eq!(part["longest_wait_seconds"], 2.5);
        assert_eq!(part["broken"], json!(["event a"]));
        assert!(part["faults"].is_object());
    }
}
