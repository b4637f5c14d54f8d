//! The dashboard: each panel is described, and shows something of running daemons.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
};

use eso_relay_lab::{daemon::Daemon, installation::READY, port, process::Process, wait};
use serde_json::Value;
use tokio::process::Command;

use super::DASHBOARD;
use crate::docs::{Everything, read};

fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    panels
        .filter(|panel| panel["type"] != "row")
        .cloned()
        .collect()
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

/// By a real Prometheus, where there is one.
#[tokio::test(flavor = "multi_thread")]
async fn every_panel_shows_something_of_running_daemons() {
    let there = Command::new("prometheus")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if let Err(error) = there.await {
        eprintln!(
            "skipped: no prometheus: {error} (Debian and Ubuntu: apt-get install prometheus)"
        );
        return;
    }
    let everything = Everything::start().await;
    let targets = everything.daemons().map(Daemon::admin_url);
    let targets = targets.map(|url| format!("'{}'", url.trim_start_matches("http://")));

    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("prometheus.yaml");
    let yaml = format!(
        "global: {{ scrape_interval: 1s }}\n\
         scrape_configs: [{{ job_name: eso-relay, static_configs: [{{ targets: [{}] }}] }}]\n",
        targets.join(", ")
    );
    std::fs::write(&config, yaml).unwrap();
    let port = port::free().unwrap();
    let mut command = std::process::Command::new("prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            directory.path().display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let log = directory.path().join("log");
    let _prometheus = Process::spawn("prometheus", command, &log).unwrap();

    let mut empty = BTreeMap::new();
    let found = wait::until("data in every panel", READY, || async {
        everything.webhook().await;
        for panel in panels() {
            if !has_data(port, &panel).await {
                return None;
            }
        }
        Some(())
    })
    .await;
    if found.is_err() {
        for panel in panels() {
            if !has_data(port, &panel).await {
                empty.insert(panel["title"].to_string(), panel["targets"].clone());
            }
        }
    }
    assert!(found.is_ok(), "{empty:#?}");
}

/// Whether one of its queries finds a series.
async fn has_data(port: u16, panel: &Value) -> bool {
    for target in panel["targets"].as_array().unwrap() {
        let query = target["expr"].as_str().unwrap();
        let query = query.replace("$__rate_interval", "30s");
        let query = query.replace("$job", ".+").replace("$instance", ".+");
        let asked = Command::new("promtool")
            .args([
                "query",
                "instant",
                &format!("http://127.0.0.1:{port}"),
                &query,
            ])
            .output()
            .await
            .unwrap();
        // Before Prometheus listens there is no answer.
        if asked.status.success() && !asked.stdout.trim_ascii().is_empty() {
            return true;
        }
    }
    false
}
