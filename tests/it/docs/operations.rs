//! Metrics and conditions of running daemons, against docs/operations.md.

use std::collections::BTreeSet;

use eso_relay_lab::{installation::READY, wait};

use super::{code, documents, everything::Everything, read, rows};
use crate::metrics;

const OPERATIONS: &str = "docs/operations.md";

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

/// The metrics of the table, each of which a running daemon shows.
pub(crate) fn listed_metrics() -> BTreeSet<String> {
    let cells = first_cells("## Metrics").into_iter();
    cells.flat_map(|cell| metrics_in(&cell)).collect()
}

/// Every metric that a text names, also within a query; a part of a histogram is the histogram.
pub(crate) fn metrics_in(text: &str) -> BTreeSet<String> {
    let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = |name: &&str| name.starts_with("eso_relay_") || name.starts_with("process_");
    let family = |name: &str| {
        let parts = ["_bucket", "_count", "_sum"];
        let family = parts.iter().find_map(|part| name.strip_suffix(part));
        family.unwrap_or(name).to_owned()
    };
    names.filter(ours).map(family).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_and_every_condition_is_in_the_documents() {
    let everything = Everything::start().await;
    everything.webhook().await;
    for (daemon, metric) in [
        (&everything.consumer, "eso_relay_consumer_object_last_sync"),
        (
            &everything.consumer,
            "eso_relay_consumer_restart_duration_seconds_count",
        ),
        (&everything.equipped, "eso_relay_ingress_jwks_age_seconds"),
    ] {
        wait::until(metric, READY, || async {
            daemon.metric(metric, &[]).await.ok()
        })
        .await
        .unwrap();
    }
    let mut conditions = BTreeSet::new();
    for daemon in [&everything.ingress, &everything.consumer] {
        let (_, ready) = daemon.readyz().await.unwrap();
        conditions.extend(ready.lines().map(|line| {
            let name = line.trim_start_matches("[+]").split(' ').next();
            name.unwrap().to_owned()
        }));
    }
    assert_eq!(first_cells("## Ready or not"), conditions);

    for (metric, moment) in [
        (
            "eso_relay_nats_credentials_not_after_timestamp_seconds",
            4_102_444_800,
        ),
        // The default of rcgen: the first day of 4096.
        (
            "eso_relay_nats_certificate_not_after_timestamp_seconds",
            67_090_118_400,
        ),
    ] {
        assert_eq!(
            everything.equipped.count(metric, &[]).await.unwrap(),
            moment,
            "{metric}"
        );
    }
    let mut shown = BTreeSet::new();
    for daemon in everything.daemons() {
        shown.extend(exposed(&metrics::text(daemon).await));
    }
    let listed = listed_metrics();
    let missing: Vec<_> = shown.difference(&listed).collect();
    assert!(missing.is_empty(), "not in {OPERATIONS}: {missing:?}");
    let unknown: Vec<_> = listed.difference(&shown).collect();
    assert!(unknown.is_empty(), "only in {OPERATIONS}: {unknown:?}");
    // Alerts and troubleshooting name no other.
    for (file, document) in documents() {
        for name in metrics_in(&document) {
            assert!(listed.contains(&name), "{file}: {name}");
        }
    }
}
