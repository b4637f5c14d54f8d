//! Workloads that change, or are in a state of their own, when they are to be restarted.

use std::time::Duration;

use eso_relay_lab::{
    cluster::{Kind, external_secret, objects},
    installation::{Cluster, READY},
    standin::{Effect, On, Times, Verb},
    workloads::{Controllers, RESTART, RESTARTED_FOR, RESTARTS, Workload, marks},
};
use kube::api::{DeleteParams, Patch, PatchParams};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{SETTINGS, count, deploy, generation, of, reader, relay, restarted};
use crate::consuming::{CONSUMER, Consuming, TEAM};

async fn patch(relay: &Consuming, name: &str, change: &Value) {
    let api = objects(relay.cluster.client(), Kind::Deployment, Some(TEAM));
    let (params, change) = (PatchParams::default(), Patch::Merge(change));
    api.patch(name, &params, &change).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_lost_its_reference_or_opt_in_is_left_alone() {
    let relay = relay(&["db"]).await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    for name in ["reference", "opt-in", "deleted", "kept"] {
        let web = Workload::deployment(TEAM, name).reads_secret("db");
        deploy(&relay, Kind::Deployment, name, web.restart()).await;
    }
    let _consumer = relay.consumer(SETTINGS).await;
    relay.publish(&["/prod/db"]).await;
    for name in ["reference", "opt-in", "deleted", "kept"] {
        restarted(&relay, name, "1").await;
    }
    let container = json!({ "name": "app", "image": "app:1" });
    let bare = json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
    patch(&relay, "reference", &bare).await;
    let out = json!({ "metadata": { "annotations": { RESTART: null } } });
    patch(&relay, "opt-in", &out).await;
    let api = objects(relay.cluster.client(), Kind::Deployment, Some(TEAM));
    api.delete("deleted", &DeleteParams::default())
        .await
        .unwrap();
    relay.drained().await;
    relay.publish(&["/prod/db"]).await;
    restarted(&relay, "kept", "2").await;
    relay.drained().await;
    for name in ["reference", "opt-in"] {
        let count = count(&relay, name, RESTARTS).await;
        assert_eq!(count.as_deref(), Some("1"), "{name}");
    }
}

/// With an autoscaler at work on it, and more conflicts than it makes.
#[tokio::test(flavor = "multi_thread")]
async fn conflicts_lead_to_one_restart() {
    let relay = of(Cluster::stand_in("east").await.unwrap(), &["db"]).await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    deploy(&relay, Kind::Deployment, "db", reader("db")).await;
    let patches = On::verb(Verb::Patch, Kind::Deployment).by_token(CONSUMER);
    let conflict = Effect::status(StatusCode::CONFLICT);
    let faults = relay.stand_in().faults();
    faults.inject(patches, conflict, Times::Next(2));
    let consumer = relay.consumer(SETTINGS).await;
    let api = objects(relay.cluster.client(), Kind::Deployment, Some(TEAM));
    let writer = tokio::spawn(async move {
        for number in 0_u32.. {
            let number = number.to_string();
            let change = json!({ "metadata": { "annotations": { "writer": number } } });
            let (params, change) = (PatchParams::default(), Patch::Merge(&change));
            api.patch("db", &params, &change).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let event = relay.publish(&["/prod/db"]).await.remove(0);
    restarted(&relay, "db", "1").await;
    relay.drained().await;
    writer.abort();
    let carried = marks(relay.cluster.client(), Kind::Deployment, TEAM, "db").await;
    assert_eq!(carried.unwrap()[RESTARTED_FOR], event);
    assert_eq!(generation(&relay, "db").await, 2);
    let metric = "eso_relay_consumer_restarts_total";
    let done = consumer.count(metric, &[("result", "restarted")]).await;
    assert_eq!(done.unwrap(), 1);
    let again = consumer.count(metric, &[("result", "retried")]).await;
    assert!(again.unwrap() >= 2);
}

/// What no controller rolls out holds no place in the window.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_roll_out_holds_up_no_other() {
    let relay = relay(&["db"]).await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    let none = reader("db").replicas(0);
    none.create(relay.cluster.client()).await.unwrap();
    let paused = Workload::deployment(TEAM, "paused").reads_secret("db");
    let paused = paused.restart().paused();
    paused.create(relay.cluster.client()).await.unwrap();
    for (kind, workload) in [
        (Kind::DaemonSet, Workload::daemon_set(TEAM, "manual")),
        (Kind::StatefulSet, Workload::stateful_set(TEAM, "manual")),
    ] {
        let manual = workload.reads_secret("db").restart().on_delete();
        deploy(&relay, kind, "manual", manual).await;
    }
    let one = "restart: { enabled: true, gather: 1s, concurrency: 1 }";
    let _consumer = relay.consumer(one).await;
    relay.publish(&["/prod/db"]).await;
    relay.drained().await;
    for (kind, name) in [
        (Kind::Deployment, "db"),
        (Kind::Deployment, "paused"),
        (Kind::DaemonSet, "manual"),
        (Kind::StatefulSet, "manual"),
    ] {
        let carried = marks(relay.cluster.client(), kind, TEAM, name).await;
        assert_eq!(carried.unwrap()[RESTARTS], "1", "{kind:?} {name}");
    }
}

/// Its pods would not start.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_eso_deletes_restarts_nothing() {
    let relay = relay(&["db"]).await;
    let client = relay.cluster.client();
    let _controllers = Controllers::builder().start(client);
    relay.cluster.values.set("/prod/short", "old");
    let short = external_secret("short").in_namespace(TEAM);
    let short = short.from_store("akeyless").key("/prod/short");
    short
        .deletion_policy("Delete")
        .create(client)
        .await
        .unwrap();
    relay.synced("short").await;
    for name in ["db", "short"] {
        deploy(&relay, Kind::Deployment, name, reader(name)).await;
    }
    let consumer = relay.consumer(SETTINGS).await;
    relay.cluster.values.remove("/prod/short");
    relay.publish(&["/prod/short"]).await;
    relay.drained().await;
    relay.publish(&["/prod/db"]).await;
    restarted(&relay, "db", "1").await;
    assert_eq!(generation(&relay, "short").await, 1);
    let metric = "eso_relay_consumer_restarts_total";
    let left = consumer.count(metric, &[("result", "not_restarted")]).await;
    assert_eq!(left.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_of_reloader_count_where_asked_for() {
    let relay = relay(&["db", "fence"]).await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    let of = |name: &str| Workload::deployment(TEAM, name).reads_secret("db");
    for (name, workload) in [
        (
            "auto",
            of("auto").annotated("reloader.stakater.com/auto", "true"),
        ),
        (
            "pattern",
            Workload::deployment(TEAM, "pattern")
                .annotated("secret.reloader.stakater.com/reload", "other,d.*"),
        ),
        (
            "excluded",
            of("excluded")
                .annotated("reloader.stakater.com/auto", "true")
                .annotated("secrets.exclude.reloader.stakater.com/reload", "db"),
        ),
        (
            "off",
            of("off")
                .annotated("reloader.stakater.com/auto", "false")
                .template_annotated("reloader.stakater.com/auto", "true"),
        ),
        ("fence", reader("fence")),
    ] {
        deploy(&relay, Kind::Deployment, name, workload).await;
    }
    let mut without = relay.consumer(SETTINGS).await;
    relay.publish(&["/prod/db", "/prod/fence"]).await;
    restarted(&relay, "fence", "1").await;
    relay.drained().await;
    for name in ["auto", "pattern", "excluded", "off"] {
        assert_eq!(generation(&relay, name).await, 1, "{name}");
    }
    without.terminate().unwrap();
    without.wait_exit(READY).await.unwrap();

    let honoured = "restart: { enabled: true, gather: 1s, honour: [stakater] }";
    let _with = relay.consumer(honoured).await;
    relay.publish(&["/prod/db"]).await;
    for name in ["auto", "pattern"] {
        restarted(&relay, name, "1").await;
    }
    relay.drained().await;
    for name in ["excluded", "off"] {
        assert_eq!(generation(&relay, name).await, 1, "{name}");
    }
}
