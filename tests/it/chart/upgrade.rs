//! What an upgrade starts again, and what it leaves alone.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use super::{CHART, Chart, case, case_with, name};
use crate::docs::path;

/// The pod templates by the names of what makes the pods.
fn pods(objects: &[Value]) -> BTreeMap<String, Value> {
    let templates = objects
        .iter()
        .filter(|it| it["spec"]["template"].is_object());
    templates
        .map(|it| (name(it).to_owned(), it["spec"]["template"].clone()))
        .collect()
}

fn changed(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> Vec<String> {
    let names = before.keys().filter(|it| before.get(*it) != after.get(*it));
    names.cloned().collect()
}

#[tokio::test]
async fn a_source_restarts_the_ingress_alone() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let before = pods(&chart.objects(&case("everything")).await);
    assert!(before.len() >= 4);
    let source = ["ingress.config.sources[0].max_age=1h"];
    let after = pods(&chart.objects(&case_with("everything", &source)).await);
    assert_eq!(changed(&before, &after), ["eso-relay-ingress"]);
    let refresh = ["consumer.config.refresh.rate=5"];
    let after = pods(&chart.objects(&case_with("everything", &refresh)).await);
    assert_eq!(changed(&before, &after), ["eso-relay-consumer"]);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn a_new_chart_alone_restarts_nothing() {
    let Some(mut chart) = Chart::new().await else {
        return;
    };
    let before = chart.objects(&case("everything")).await;
    let folder = tempfile::tempdir().unwrap();
    let next = folder.path().join("eso-relay");
    copy(&path(CHART), &next);
    let about = fs::read_to_string(next.join("Chart.yaml")).unwrap();
    let version = about.lines().find(|it| it.starts_with("version:")).unwrap();
    let about = about.replace(version, "version: 99.0.0");
    fs::write(next.join("Chart.yaml"), about).unwrap();
    chart.chart = next.display().to_string();
    let after = chart.objects(&case("everything")).await;
    assert_ne!(before, after);
    assert_eq!(pods(&before), pods(&after));
}
