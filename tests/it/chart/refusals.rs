//! A value that cannot work is refused, with its name.

use std::fs;

use super::{CHART, Chart, case_with};
use crate::docs::path;

#[tokio::test]
async fn a_refusal_names_the_value() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let scaled = |more: &str| format!("consumer.keda.enabled=true,{more}");
    for (base, set, words) in [
        // Unknown names, at every depth.
        ("cluster", "colour=blue", vec!["colour"]),
        (
            "cluster",
            "consumer.colour=blue",
            vec!["consumer", "colour"],
        ),
        (
            "cluster",
            "consumer.config.refresh.concurency=3",
            vec!["consumer/config/refresh", "concurency"],
        ),
        (
            "hub",
            "ingress.config.sources[0].name=UPPER",
            vec!["ingress/config/sources/0/name"],
        ),
        // Secrets have no place.
        ("hub", "nats.auth.password=x", vec!["nats/auth", "password"]),
        ("hub", "ingress.config.nats.password=x", vec!["password"]),
        (
            "hub",
            "nats.url=nats://user:secret@nats:4222",
            vec!["nats.url", "nats.auth"],
        ),
        // What is required.
        ("cluster", "consumer.cluster=", vec!["consumer.cluster"]),
        ("cluster", "nats.url=", vec!["nats.url", "devNats.enabled"]),
        ("hub", "nats.auth.user=", vec!["nats.auth.user", "ingress"]),
        (
            "hub",
            "init.nats.auth.existingSecret=",
            vec!["nats.auth.existingSecret", "init"],
        ),
        ("hub", "ingress.expose.host=", vec!["ingress.expose.host"]),
        (
            "hub",
            "ingress.expose.type=httpRoute",
            vec!["ingress.expose.parentRefs"],
        ),
        (
            "hub",
            "ingress.tls.clientCaSecret=ca",
            vec!["ingress.tls.clientCaSecret", "existingSecret"],
        ),
        // What excludes each other.
        (
            "cluster",
            &scaled("consumer.autoscaling.enabled=true"),
            vec!["consumer.keda.enabled", "consumer.autoscaling.enabled"],
        ),
        (
            "cluster",
            &scaled("consumer.keda.maxReplicas=14"),
            vec![
                "consumer.keda.maxReplicas",
                "consumer.config.max_deliveries",
            ],
        ),
        (
            "cluster",
            &scaled("consumer.keda.maxReplicas=1"),
            vec!["consumer.keda.maxReplicas", "minReplicas"],
        ),
        (
            "scaled",
            "consumer.keda.account=",
            vec!["consumer.keda.account"],
        ),
        (
            "scaled",
            "consumer.keda.natsServerMonitoringEndpoint=",
            vec!["consumer.keda.natsServerMonitoringEndpoint"],
        ),
        (
            "scaled",
            "consumer.keda.natsServerMonitoringEndpoint=http://nats:8222",
            vec!["natsServerMonitoringEndpoint"],
        ),
        (
            "hub",
            "ingress.secrets[0].path=nats",
            vec!["ingress.secrets", "nats"],
        ),
        (
            "hub",
            "ingress.config.shutdown.grace=2days",
            vec!["ingress.config.shutdown.grace", "2days"],
        ),
    ] {
        let refused = chart.text(&case_with(base, &[set])).await;
        let said = refused.expect_err(set);
        for word in words {
            assert!(said.contains(word), "{set}: no {word:?} in {said}");
        }
    }
}

#[tokio::test]
async fn a_chart_may_hold_this_one() {
    let Some(mut chart) = Chart::new().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("charts")).unwrap();
    let held = folder.path().join("charts/eso-relay");
    std::os::unix::fs::symlink(path(CHART), held).unwrap();
    let about = "apiVersion: v2
name: platform
version: 1.0.0
dependencies: [{ name: eso-relay, version: 0.x.x, condition: eso-relay.enabled }]
";
    fs::write(folder.path().join("Chart.yaml"), about).unwrap();
    let values = "global: { a: b }
eso-relay: { enabled: true, devNats: { enabled: true }, consumer: { cluster: east } }
";
    fs::write(folder.path().join("values.yaml"), values).unwrap();
    chart.folder = folder.path().display().to_string();
    let objects = chart.objects(&[]).await;
    assert!(objects.len() > 8, "{}", objects.len());
    let off = ["--set".to_owned(), "eso-relay.enabled=false".to_owned()];
    assert!(chart.objects(&off).await.is_empty());
}
