//! Metrics and conditions of running daemons, against docs/operations.md.

use std::collections::BTreeSet;

use eso_relay_lab::installation::{Cluster, Installation};

use super::{code, documents, read, rows};

const OPERATIONS: &str = "docs/operations.md";

async fn get(url: String) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(url).send().await.unwrap();
    answer.text().await.unwrap()
}

/// The families of `/metrics`, as one asks for them.
fn exposed(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .map(|family| match family.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, _) => name.to_owned(),
        })
        .collect()
}

fn first_cells(heading: &str) -> BTreeSet<String> {
    let rows = rows(&read(OPERATIONS), heading);
    rows.iter().flat_map(|row| code(&row[0])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_and_every_condition_is_in_the_documents() {
    let east = Cluster::stand_in("east").await.unwrap();
    let installation = Installation::start(vec![east]).await.unwrap();
    installation.webhooks().updated(&["a"]).await.unwrap();
    let (mut metrics, mut conditions) = (BTreeSet::new(), BTreeSet::new());
    for daemon in [&installation.ingress, &installation.consumers[0]] {
        metrics.extend(exposed(
            &get(format!("{}/metrics", daemon.admin_url())).await,
        ));
        let (_, ready) = daemon.readyz().await.unwrap();
        conditions.extend(ready.lines().map(|line| {
            let name = line.trim_start_matches("[+]").split(' ').next();
            name.unwrap().to_owned()
        }));
    }
    assert_eq!(first_cells("## Ready or not"), conditions);

    let listed: BTreeSet<String> = first_cells("## Metrics")
        .into_iter()
        .filter(|name| name.starts_with("eso_relay_"))
        .collect();
    let missing: Vec<_> = metrics.difference(&listed).collect();
    assert!(missing.is_empty(), "not in {OPERATIONS}: {missing:?}");
    // Some show up with their first event; until then the code has their names.
    let sources = [
        "ingress/src/metrics.rs",
        "ingress/src/poll/metrics.rs",
        "ingress/src/publish/metrics.rs",
        "consumer/src/report/metrics/mod.rs",
        "consumer/src/report/metrics/objects.rs",
        "consumer/src/report/metrics/restarts.rs",
    ];
    let code: String = sources.iter().map(|file| read(file)).collect();
    for name in listed.difference(&metrics) {
        let bare = name.trim_end_matches("_total");
        let bare = bare.trim_start_matches("eso_relay_ingress_");
        let bare = bare.trim_start_matches("eso_relay_consumer_");
        // A unit stands beside the name.
        let names = [bare, bare.trim_end_matches("_seconds")];
        let registered = |name: &&str| code.contains(&format!("\"{name}\""));
        assert!(names.iter().any(registered), "no metric {name}");
    }
    // Alerts and troubleshooting name no other.
    for (file, document) in documents() {
        for rest in document.split("eso_relay_").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
            let name = format!("eso_relay_{}", &rest[..end.unwrap_or(rest.len())]);
            assert!(listed.contains(&name), "{file}: {name}");
        }
    }
}

#[test]
fn the_alert_rules_are_those_of_the_documents() {
    let rules: serde_json::Value =
        serde_saphyr::from_str(&read("deploy/prometheus/alerts.yaml")).unwrap();
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    let rules: Vec<_> = rules
        .iter()
        .map(|rule| rule["expr"].as_str().unwrap())
        .collect();
    let listed = rows(&read(OPERATIONS), "## Alerts");
    let listed: Vec<_> = listed
        .iter()
        .map(|row| code(&row[1])[0].replace("\\|", "|"))
        .collect();
    assert_eq!(rules, listed);
}
