//! Alerts and the dashboard: each has what an operator needs, and asks for nothing that no daemon shows.

use std::{collections::BTreeSet, process::Command};

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

fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    panels
        .filter(|panel| panel["type"] != "row")
        .cloned()
        .collect()
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

/// What Grafana's own linter asks for, as far as it fits.
#[test]
fn the_dashboard_fits_any_grafana() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    assert_eq!(dashboard["uid"], "eso-relay");
    assert_eq!(dashboard["editable"], false);
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables.iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["datasource", "job", "instance"]);
    for variable in &variables[1..] {
        // With the time range.
        assert_eq!(variable["refresh"], 2, "{variable}");
    }
    let mut titles = BTreeSet::new();
    for panel in panels() {
        let title = panel["title"].as_str().unwrap();
        let described = panel["description"].as_str().unwrap_or_default();
        assert!(described.ends_with('.'), "{title}: no description");
        assert!(
            panel["fieldConfig"]["defaults"]["unit"].is_string(),
            "{title}: no unit"
        );
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}: no query");
        for target in targets {
            let query = target["expr"].as_str().unwrap();
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            let selectors = query.matches("eso_relay_").count() + query.matches("process_").count();
            let narrowed = query
                .matches(r#"job=~"$job",instance=~"$instance""#)
                .count();
            assert_eq!(narrowed, selectors, "{title}: {query}");
            assert!(
                !query.contains("rate(") || query.contains("[$__rate_interval]"),
                "{title}: {query}"
            );
        }
        titles.insert(title.to_owned());
    }
    assert!(titles.len() > 30, "{titles:?}");
}

#[test]
fn the_scenarios_fire_what_they_say() {
    let promtool = |arguments: &[&str]| Command::new("promtool").args(arguments).output();
    if promtool(&["--version"]).is_err() {
        // `.ci/run monitoring` says so.
        return;
    }
    for (kind, file) in [("check", ALERTS), ("test", SCENARIOS)] {
        let file = path(file);
        let done = promtool(&[kind, "rules", file.to_str().unwrap()]).unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        let why = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}{why}");
    }
}
