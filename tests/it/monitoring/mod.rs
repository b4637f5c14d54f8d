//! Alerts and the dashboard: each has what an operator needs, and asks for nothing that no daemon shows.

mod dashboard;
mod faults;
mod prometheus;

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use crate::docs::{listed_metrics, metrics_in, path, read};

const ALERTS: &str = "deploy/monitoring/alerts.yaml";
const SCENARIOS: &str = "deploy/monitoring/alerts.test.yaml";
const DASHBOARD: &str = "deploy/monitoring/dashboard.json";
const OPERATIONS: &str = "docs/operations.md";

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&read(file)).unwrap()
}

fn alerts() -> Vec<Value> {
    let groups = yaml(ALERTS)["groups"].as_array().unwrap().clone();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap());
    rules.cloned().collect()
}

#[test]
fn each_alert_says_how_bad_it_is_and_where_to_read_on() {
    let operations = read(OPERATIONS);
    let section = operations.split("\n## Alerts\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let described: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    let mut named = Vec::new();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap().to_owned();
        let severity = alert["labels"]["severity"].as_str();
        assert!(
            matches!(severity, Some("critical" | "warning" | "info")),
            "{name}"
        );
        let summary = alert["annotations"]["summary"].as_str().unwrap();
        assert!(summary.starts_with("eso-relay: "), "{name}");
        let runbook = alert["annotations"]["runbook_url"].as_str().unwrap();
        let anchor = format!("/{OPERATIONS}#{}", name.to_lowercase());
        assert!(runbook.ends_with(&anchor), "{name}: {runbook}");
        named.push(name);
    }
    assert_eq!(named, described);
}

#[test]
fn alerts_and_panels_ask_for_metrics_that_exist() {
    let listed = listed_metrics();
    let asked = [read(ALERTS), read(SCENARIOS), read(DASHBOARD)];
    for name in asked.iter().flat_map(|text| metrics_in(text)) {
        assert!(listed.contains(&name), "{name} is not in {OPERATIONS}");
    }
}

#[test]
fn each_alert_has_a_scenario_in_which_it_fires() {
    let scenarios = read(SCENARIOS);
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert!(
            scenarios.contains(&format!("alertname=\"{name}\"")),
            "{name}"
        );
    }
}

#[test]
fn the_scenarios_fire_what_they_say() {
    promtool_accepts("check", &path(ALERTS));
    promtool_accepts("test", &path(SCENARIOS));
}

/// `promtool check rules` or `promtool test rules`.
fn promtool_accepts(kind: &str, file: &Path) {
    let Some(done) = promtool(&[kind, "rules", file.to_str().unwrap()]) else {
        return;
    };
    let said = String::from_utf8_lossy(&done.stdout);
    let why = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}{why}");
}

/// `None` where there is none, which is said.
fn promtool(arguments: &[&str]) -> Option<Output> {
    let done = Command::new("promtool").args(arguments).output();
    let done = done.inspect_err(|error| {
        eprintln!("skipped: no promtool: {error} (Debian and Ubuntu: apt-get install prometheus)");
    });
    done.ok()
}
