//! The collector: one that is not there, and one that asks for a header.

use axum::http::StatusCode;
use eso_relay_lab::{
    collector::{Collector, Manner},
    daemon::Daemon,
    installation::{Cluster, Hub, READY, Webhooks, akeyless},
    wait,
};
use serde_json::json;

use super::{cluster, collector, ready, spans, traced};
use crate::{
    cli,
    consuming::{Consuming, TEAM, drained},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_hangs_or_refuses_changes_nothing_else() {
    let cluster = cluster("east").await;
    let hub = Hub::start().await.unwrap();
    hub.init(&["east"]).await.unwrap();
    let refusing = Manner::Answer(StatusCode::INTERNAL_SERVER_ERROR);
    let (refusing, hanging) = (
        Collector::start(refusing).await.unwrap(),
        Collector::start(Manner::Hang).await.unwrap(),
    );
    let away = "trace: { endpoint: 'http://127.0.0.1:1' }\n".to_owned();
    let mut before = None;
    for settings in [refusing.settings(), hanging.settings(), away] {
        let mut ingress = ready(hub.ingress_with(&settings).start().await.unwrap()).await;
        let consumer = cluster.consumer(&hub, &settings);
        let mut consumer = ready(consumer.start().await.unwrap()).await;
        let webhooks = Webhooks::to(&ingress.url());
        let body = json!([akeyless(1, "prod/db")]);
        assert_eq!(webhooks.akeyless(&body).await.unwrap().status, 202);
        let value = cluster.refreshed(TEAM, "db", before.as_deref()).await;
        before = Some(value.unwrap());
        let jetstream = hub.jetstream().await.unwrap();
        drained(&jetstream, "east", READY).await;
        for daemon in [&mut ingress, &mut consumer] {
            let warning = "the collector does not take traces";
            daemon.wait_log(warning, READY).await.unwrap();
            if settings == refusing.settings() {
                dropped(daemon).await;
            }
            daemon.terminate().unwrap();
            // Less than `shutdown.grace`: at its end the daemon fails.
            let status = daemon.wait_exit(READY).await.unwrap();
            assert!(status.success(), "{status}\n{}", daemon.logs());
            let log = daemon.logs();
            assert_eq!(log.matches(warning).count(), 1, "{log}");
        }
    }
}

/// Waits until a dropped span is counted.
async fn dropped(daemon: &Daemon) {
    wait::until("a dropped span", READY, || async {
        let count = daemon.count("eso_relay_spans_dropped_total", &[]).await;
        count.ok().filter(|count| *count > 0)
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_headers_for_the_collector_come_from_a_file_and_are_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let headers = dir.path().join("headers");
    std::fs::write(&headers, "authorization: Bearer marker-of-the-collector\n").unwrap();
    let relay = Consuming::on(Cluster::stand_in("east").await.unwrap(), &["db"]).await;
    let collector = collector().await;
    let settings = format!(
        "trace: {{ endpoint: '{}', headers_file: '{}' }}\n",
        collector.url(),
        headers.display()
    );
    let consumer = relay.consumer(&settings).await;
    cli::publish(&relay.jetstream, &[traced("/prod/db")]).await;
    spans(&collector, &[("process ESO_RELAY", 1)]).await;
    assert_eq!(
        collector.authorizations(),
        ["Bearer marker-of-the-collector"]
    );
    consumer.wait_log("sending traces", READY).await.unwrap();
    assert!(!consumer.logs().contains("marker-of-the-collector"));
}
