//! ExternalSecrets of kubernetes-external-secrets, on an API that serves them, with a stand-in of KES at work.

mod tenancy;

use std::time::Duration;

use eso_relay::Event;
use eso_relay_lab::{
    cluster::{Kind, REFRESH, objects, secret_value},
    daemon::{Binary, Daemon},
    installation::{Cluster, READY},
    kes::{Kes, KesBuilder, kes_external_secret, serve_kes},
    standin::{On, Verb},
    wait,
    workloads::{Controllers, RESTARTED_FOR, RESTARTS, Workload, marks},
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    cli,
    consuming::{CONSUMER, Consuming, TEAM, event, fingerprint},
};

const ENABLED: &str = "kes: { enabled: true }";

/// `db` of KES reads `/prod/db` of Akeyless, and was polled once.
async fn relay(kes: KesBuilder, more: Value) -> (Consuming, Kes) {
    let cluster = Cluster::start("east").await.unwrap();
    serve_kes(&cluster).await.unwrap();
    let relay = Consuming::on(cluster, &[]).await;
    relay.cluster.values.set("/prod/db", "old");
    let kes = kes.start(relay.cluster.client(), &relay.cluster.values);
    let db = kes_external_secret(TEAM, "db", "akeyless", "/prod/db", &more);
    db.create(relay.cluster.client()).await.unwrap();
    if more.get("controllerId").is_none() {
        polled(&relay, "SUCCESS").await;
    }
    (relay, kes)
}

fn all(relay: &Consuming) -> Api<DynamicObject> {
    objects(relay.cluster.client(), Kind::KesExternalSecret, Some(TEAM))
}

/// Waits until a poll of the newest generation has ended so.
async fn polled(relay: &Consuming, begins: &str) {
    wait::until_ok(format!("a poll that says {begins}"), READY, || async {
        let mut object = all(relay).get("db").await.unwrap();
        let status = object.data["status"].take();
        let observed = status["observedGeneration"].as_i64();
        let text = status["status"].as_str().unwrap_or_default();
        (observed == object.metadata.generation && text.starts_with(begins))
            .then_some(())
            .ok_or(status)
    })
    .await
    .unwrap();
}

async fn secret_is(relay: &Consuming, value: &str) {
    wait::until_ok(format!("the Secret to hold {value}"), READY, || async {
        let held = secret(relay).await;
        (held.as_deref() == Some(value)).then_some(()).ok_or(held)
    })
    .await
    .unwrap();
}

async fn secret(relay: &Consuming) -> Option<String> {
    let client = relay.cluster.client();
    secret_value(client, TEAM, "db", "value").await.unwrap()
}

async fn mark(relay: &Consuming) -> Option<String> {
    let object = all(relay).get("db").await.unwrap();
    object.metadata.annotations?.remove(REFRESH)
}

async fn carries(relay: &Consuming, value: &str) {
    wait::until_ok(format!("db of KES to carry {value}"), READY, || async {
        let carried = mark(relay).await;
        (carried.as_deref() == Some(value))
            .then_some(())
            .ok_or(carried)
    })
    .await
    .unwrap();
}

/// Waits until so many syncs with this result are told.
async fn told(consumer: &Daemon, result: &str, count: u64) {
    wait::until_ok(format!("{count} {result}"), READY, || async {
        let metric = "eso_relay_consumer_syncs_total";
        let told = consumer.count(metric, &[("result", result)]).await;
        let told = told.unwrap();
        (told == count).then_some(()).ok_or(told)
    })
    .await
    .unwrap();
}

/// Waits for a line of the log that says so of `db`.
async fn logged(consumer: &Daemon, text: &str) {
    wait::until(format!("{text} of KES/team-a/db"), READY, || async {
        let log = consumer.logs();
        let mut lines = log.lines();
        lines
            .any(|line| line.contains(text) && line.contains("KES/team-a/db"))
            .then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_status_polls_at_once_and_an_annotation_does_not() {
    let (relay, kes) = relay(Kes::builder(), json!({})).await;
    relay.cluster.values.set("/prod/db", "new");
    let (params, all) = (PatchParams::default(), all(&relay));
    let annotation = json!({ "metadata": { "annotations": { REFRESH: "x" } } });
    all.patch("db", &params, &Patch::Merge(&annotation))
        .await
        .unwrap();
    // Long enough to look at it, and to decide.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(kes.polls(TEAM, "db"), 1, "the first one");
    let reset = json!({ "status": { "observedGeneration": -1 } });
    all.patch_status("db", &params, &Patch::Merge(&reset))
        .await
        .unwrap();
    secret_is(&relay, "new").await;
    polled(&relay, "SUCCESS").await;
    assert!(kes.polls(TEAM, "db") > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_brings_the_new_value_and_is_told() {
    let (relay, _kes) = relay(Kes::builder(), json!({})).await;
    let consumer = relay.consumer(ENABLED).await;
    relay.cluster.values.set("/prod/db", "new");
    let values = relay.publish(&["/prod/db"]).await;
    secret_is(&relay, "new").await;
    relay.drained().await;
    carries(&relay, &values[0]).await;
    told(&consumer, "synced", 1).await;
    logged(&consumer, "synced").await;
    // Neither changes the spec, nor asks KES again.
    polled(&relay, "SUCCESS").await;
    let object = all(&relay).get("db").await.unwrap();
    assert_eq!(object.metadata.generation, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_under_way_is_no_proof() {
    let slow = Kes::builder().delay(Duration::from_secs(1));
    let (relay, kes) = relay(slow, json!({})).await;
    let consumer = relay.consumer(ENABLED).await;
    relay.publish(&["/prod/db"]).await;
    // It has read the old value, and writes it later.
    wait::until("a poll to begin", READY, || async {
        (kes.polls(TEAM, "db") >= 2).then_some(())
    })
    .await
    .unwrap();
    relay.cluster.values.set("/prod/db", "new");
    let values = relay.publish(&["/prod/db"]).await;
    carries(&relay, &values[0]).await;
    // By then, and not later.
    told(&consumer, "synced", 2).await;
    assert_eq!(secret(&relay).await.as_deref(), Some("new"));
    relay.drained().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_fails_is_told_and_the_next_counts() {
    let (relay, _kes) = relay(Kes::builder(), json!({})).await;
    let consumer = relay.consumer(ENABLED).await;
    relay.cluster.values.remove("/prod/db");
    relay.publish(&["/prod/db"]).await;
    polled(&relay, "ERROR, ").await;
    told(&consumer, "failed", 1).await;
    logged(&consumer, "KES has not synced it").await;
    relay.cluster.values.set("/prod/db", "new");
    relay.publish(&["/prod/db"]).await;
    secret_is(&relay, "new").await;
    told(&consumer, "synced", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_name_in_both_groups_is_two_objects() {
    let cluster = Cluster::start("east").await.unwrap();
    serve_kes(&cluster).await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    relay.synced("db").await;
    relay.cluster.values.set("/kes/db", "old");
    let kes = Kes::builder().start(relay.cluster.client(), &relay.cluster.values);
    let db = kes_external_secret(TEAM, "db", "akeyless", "/kes/db", &json!({}));
    db.create(relay.cluster.client()).await.unwrap();
    polled(&relay, "SUCCESS").await;
    let _consumer = relay.consumer(ENABLED).await;

    let of_eso = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &of_eso[0]).await;
    relay.drained().await;
    assert_eq!(mark(&relay).await, None);
    assert_eq!(kes.polls(TEAM, "db"), 1);

    let of_kes = relay.publish(&["/kes/db"]).await;
    carries(&relay, &of_kes[0]).await;
    relay.drained().await;
    let carried = relay.cluster.refresh_of(TEAM, "db").await;
    assert_eq!(carried.as_ref(), Some(&of_eso[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_not_served_is_no_error() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let consumer = relay.consumer(ENABLED).await;
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &values[0]).await;
    relay.drained().await;
    consumer
        .wait_log("everything is listed", READY)
        .await
        .unwrap();
    let log = consumer.logs();
    assert!(!log.contains("kubernetes-client.io"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn none_is_touched_unless_that_is_asked_for() {
    let (relay, kes) = relay(Kes::builder(), json!({})).await;
    let _consumer = relay.consumer("").await;
    relay.publish(&["/prod/db"]).await;
    relay.drained().await;
    assert_eq!(mark(&relay).await, None);
    assert_eq!(kes.polls(TEAM, "db"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_another_instance_is_refreshed_and_silent() {
    let other = json!({ "controllerId": "other" });
    let (relay, kes) = relay(Kes::builder(), other).await;
    let consumer = relay.consumer(ENABLED).await;
    let values = relay.publish(&["/prod/db"]).await;
    carries(&relay, &values[0]).await;
    relay.drained().await;
    told(&consumer, "silent", 1).await;
    assert_eq!(kes.polls(TEAM, "db"), 0);
    // Its instance comes back, and has what to do.
    let instance = Kes::builder().instance("other");
    let _other = instance.start(relay.cluster.client(), &relay.cluster.values);
    polled(&relay, "SUCCESS").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivery_asks_kes_for_nothing() {
    let (relay, _kes) = relay(Kes::builder(), json!({})).await;
    let consumer = relay.consumer(ENABLED).await;
    let event: Event = event("/prod/db");
    cli::publish(&relay.jetstream, std::slice::from_ref(&event)).await;
    carries(&relay, &fingerprint(&event)).await;
    told(&consumer, "synced", 1).await;
    relay.drained().await;
    let version = async || all(&relay).get("db").await.unwrap().resource_version();
    let before = version().await;
    // The same event again, as after an ack that was lost.
    cli::publish(&relay.jetstream, std::slice::from_ref(&event)).await;
    relay.drained().await;
    assert_eq!(version().await, before, "neither annotation nor status");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_readers_restart_after_kes_has_written() {
    let slow = Kes::builder().delay(Duration::from_secs(1));
    let (relay, _kes) = relay(slow, json!({})).await;
    let client = relay.cluster.client();
    let _controllers = Controllers::builder().start(client);
    let reader = Workload::deployment(TEAM, "web")
        .reads_secret("db")
        .restart();
    reader.create(client).await.unwrap();
    let restart = "restart: { enabled: true, gather: 0s }";
    let _consumer = relay.consumer(&format!("{ENABLED}\n{restart}")).await;
    relay.cluster.values.set("/prod/db", "new");
    let values = relay.publish(&["/prod/db"]).await;
    relay.drained().await;
    assert_eq!(secret(&relay).await.as_deref(), Some("new"));
    let marks = marks(client, Kind::Deployment, TEAM, "web").await.unwrap();
    assert_eq!(marks[RESTARTS], "1");
    assert_eq!(marks[RESTARTED_FOR], values[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_object_is_counted_on_request_until_it_is_gone() {
    let (relay, _kes) = relay(Kes::builder(), json!({})).await;
    let metrics = "metrics: { objects: true }";
    let consumer = relay.consumer(&format!("{ENABLED}\n{metrics}")).await;
    relay.publish(&["/prod/db"]).await;
    told(&consumer, "synced", 1).await;
    let labels = [
        ("kind", "KES"),
        ("namespace", TEAM),
        ("name", "db"),
        ("backend", "akeyless"),
    ];
    let last = || consumer.metric("eso_relay_consumer_object_last_sync", &labels);
    assert!((last().await.unwrap() - 1.0).abs() < f64::EPSILON);
    all(&relay)
        .delete("db", &DeleteParams::default())
        .await
        .unwrap();
    wait::until("its series to go", READY, || async {
        last().await.is_err().then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn matches_explains_one_by_its_name() {
    let (relay, _kes) = relay(Kes::builder(), json!({})).await;
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("consumer.yaml");
    std::fs::write(&config, "cluster: east\nkes: { enabled: true }\n").unwrap();
    Binary::Consumer.path().await.unwrap();
    let matches = tokio::process::Command::new(env!("CARGO_BIN_EXE_eso-relay"))
        .arg("matches")
        .arg("--config")
        .arg(&config)
        .arg("--kubeconfig")
        .arg(relay.cluster.kubeconfig())
        .args(["--provider", "akeyless", "--key", "/prod/db"])
        .args(["--object", "KES/team-a/db"])
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(matches.stdout).unwrap();
    let error = String::from_utf8(matches.stderr).unwrap();
    assert!(text.contains("KES/db"), "{text}{error}");
    assert!(text.contains("KES/team-a/db matches."), "{text}{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_to_list_is_said_once() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    serve_kes(&cluster).await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let list = On::verb(Verb::List, Kind::KesExternalSecret).by_token(CONSUMER);
    relay.stand_in().faults().deny(list);
    let consumer = relay.consumer(ENABLED).await;
    let said = "no permission to list externalsecrets of kubernetes-client.io";
    consumer.wait_log(said, READY).await.unwrap();
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &values[0]).await;
    relay.drained().await;
    assert_eq!(consumer.logs().matches(said).count(), 1);
}
