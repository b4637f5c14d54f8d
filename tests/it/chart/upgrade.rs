//! What an upgrade starts again, and what it leaves alone.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Chart, RELEASE, case, case_with, copied, name};

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

#[tokio::test]
async fn a_new_chart_alone_restarts_nothing() {
    let Some(mut chart) = Chart::new().await else {
        return;
    };
    let before = chart.objects(&case("everything")).await;
    let next = copied("version:", "version: 99.0.0");
    chart.folder = next.path().join(RELEASE).display().to_string();
    let after = chart.objects(&case("everything")).await;
    assert_ne!(before, after);
    assert_eq!(pods(&before), pods(&after));
}
