//! What a Prometheus sees that scrapes the daemons of a test, and what its alerts make of it, by `promtool`.
//!
//! An alert wants to see a state for minutes, some for an hour. No test waits for that: a scrape stands for
//! as many minutes as the test says.

use std::{collections::BTreeMap, mem};

use eso_relay_lab::daemon::Daemon;
use serde_json::json;

use super::{ALERTS, promtool_accepts};
use crate::docs::path;

/// By series, as the text of `/metrics` writes it, with the labels of the target.
pub(super) type Samples = BTreeMap<String, f64>;

/// One scrape of each of these targets, with the `up` that Prometheus makes of it.
pub(super) async fn scrape<'a>(targets: impl IntoIterator<Item = &'a Daemon>) -> Samples {
    let mut samples = Samples::new();
    for daemon in targets {
        let instance = daemon.admin_url().replace("http://", "");
        let target = format!(r#"job="eso-relay",instance="{instance}""#);
        let text = daemon.metrics_text().await;
        let up = if text.is_ok() { 1.0 } else { 0.0 };
        samples.insert(format!("up{{{target}}}"), up);
        let text = text.unwrap_or_default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let series = format!("{name}{{{target},{labels}");
            samples.insert(series, value.parse().unwrap());
        }
    }
    samples
}

#[derive(Default)]
pub(super) struct Prometheus {
    /// What it saw in each minute.
    minutes: Vec<Samples>,
    /// How much further the counters are than those of the daemons, since [`Prometheus::goes_on`].
    ahead: Samples,
    /// The alerts that must fire in a minute, and no others.
    firing: Vec<(usize, Vec<&'static str>)>,
}

impl Prometheus {
    /// For so many minutes each scrape shows the same.
    pub(super) fn stays(&mut self, minutes: usize, scrape: &Samples) {
        self.goes_on(minutes, scrape, scrape);
    }

    /// For so many minutes what is counted grows in each by what it grew from one scrape to the other.
    pub(super) fn goes_on(&mut self, minutes: usize, from: &Samples, to: &Samples) {
        for _ in 0..minutes {
            let mut seen = Samples::new();
            for (series, value) in to {
                let ahead = self.ahead.entry(series.clone()).or_default();
                seen.insert(series.clone(), value + *ahead);
                let before = from.get(series).filter(|_| is_counter(series));
                *ahead += value - before.unwrap_or(value);
            }
            self.minutes.push(seen);
        }
    }

    /// These alerts fire now, and no others.
    pub(super) fn fires(&mut self, alerts: &[&'static str]) {
        self.firing.push((self.minutes.len() - 1, alerts.to_vec()));
    }

    /// Whether it is so.
    pub(super) fn check(&self) {
        let mut all: Vec<&String> = self.minutes.iter().flat_map(BTreeMap::keys).collect();
        all.sort_unstable();
        all.dedup();
        let series = all
            .into_iter()
            .map(|series| json!({ "series": series, "values": self.values(series) }));
        let expected = self.firing.iter().map(|(minute, alerts)| {
            let alerts = alerts
                .iter()
                .map(|alert| json!({ "labels": format!("{{alertname=\"{alert}\"}}"), "value": 1 }));
            json!({
                "expr": r#"group by (alertname) (ALERTS{alertstate="firing"})"#,
                "eval_time": format!("{minute}m"),
                "exp_samples": alerts.collect::<Vec<_>>(),
            })
        });
        let scenario = json!({
            "interval": "1m",
            "input_series": series.collect::<Vec<_>>(),
            "promql_expr_test": expected.collect::<Vec<_>>(),
        });
        // JSON is YAML too.
        let tests = json!({ "rule_files": [path(ALERTS)], "tests": [scenario] });
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("seen.test.yaml");
        std::fs::write(&file, tests.to_string()).unwrap();
        promtool_accepts("test", &file);
    }

    /// The values of a series, minute by minute. One that is gone is stale at once, as where a scrape fails.
    fn values(&self, series: &str) -> String {
        let mut there = false;
        let values = self.minutes.iter().map(|minute| {
            let value = minute.get(series);
            let was_there = mem::replace(&mut there, value.is_some());
            match value {
                Some(value) => value.to_string(),
                None if was_there => "stale".to_owned(),
                None => "_".to_owned(),
            }
        });
        values.collect::<Vec<_>>().join(" ")
    }
}

fn is_counter(series: &str) -> bool {
    let name = series.split('{').next().unwrap_or_default();
    let ends = ["_total", "_count", "_sum", "_bucket"];
    ends.iter().any(|end| name.ends_with(end))
}
