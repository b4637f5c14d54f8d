//! What is said of restarts: by `eso-relay trace`, and by Kubernetes Events on the workloads.

use eso_relay_lab::{
    cluster::{Kind, events_on},
    installation::{Cluster, READY},
    standin::{On, Verb},
    wait,
    workloads::{Controllers, Workload},
};
use serde_json::Value;

use super::{SETTINGS, deploy, deploy_failing, of, reader, relay};
use crate::consuming::{CONSUMER, Consuming, TEAM, names, strs};

/// The receipt of the event as `trace` shows it, once these counts are so.
async fn traced(relay: &Consuming, event: &str, counts: &[(&str, u64)]) -> Value {
    let what = format!("{counts:?} in the trace of {event}");
    wait::until_ok(what, READY, || async {
        let run = relay.hub.cli(&["trace", event, "--output", "json"]).await;
        let mut report: Value = serde_json::from_str(&run.unwrap().stdout).unwrap();
        let receipt = report["clusters"][0]["detail"].take();
        let count = |name: &str| receipt[name].as_u64().unwrap_or_default();
        let all = counts.iter().all(|(name, value)| count(name) == *value);
        if all { Ok(receipt) } else { Err(receipt) }
    })
    .await
    .unwrap()
}

/// What became of the objects that are named in a receipt, sorted.
fn examples(receipt: &Value) -> Vec<&str> {
    let examples = receipt["examples"].as_array().into_iter().flatten();
    let mut examples: Vec<_> = examples.filter_map(|it| it["what"].as_str()).collect();
    examples.sort_unstable();
    examples
}

/// Waits for an Event with this reason on any of the Deployments; its text.
async fn noted(relay: &Consuming, names: &[&str], reason: &str) -> Vec<String> {
    let client = relay.cluster.client();
    wait::until_ok(format!("{reason} on {names:?}"), READY, || async {
        let mut notes = Vec::new();
        let mut all = Vec::new();
        for name in names {
            let events = events_on(client, Kind::Deployment, Some(TEAM), name).await;
            for event in events.unwrap() {
                if event["reason"] == reason {
                    notes.push(event["note"].as_str().unwrap().to_owned());
                }
                all.push(event);
            }
        }
        if notes.is_empty() {
            Err(all)
        } else {
            Ok(notes)
        }
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_counted_until_it_is_rolled_out() {
    let relay = relay(&["db"]).await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    let names = names("web", 2);
    for name in &names {
        let web = Workload::deployment(TEAM, name).reads_secret("db");
        deploy(&relay, Kind::Deployment, name, web.restart()).await;
    }
    let _consumer = relay.consumer(SETTINGS).await;
    let event = relay.publish(&["/prod/db"]).await.remove(0);
    let counts = [("workloads", 2), ("restarted", 2), ("rolledOut", 2)];
    let receipt = traced(&relay, &event, &counts).await;
    assert_eq!(receipt["synced"], 1, "{receipt}");
    assert_eq!(receipt["last"], true, "{receipt}");
    assert!(receipt.get("notRestarted").is_none(), "{receipt}");
    for name in strs(&names) {
        let notes = noted(&relay, &[name], "Restarted").await;
        assert_eq!(notes.len(), 1, "{notes:?}");
        let said = format!("Restarted for event {event} of source prod, ");
        assert!(notes[0].starts_with(&said), "{notes:?}");
    }
    // For a script: all is well.
    let run = relay.hub.cli(&["trace", &event, "--wait"]).await.unwrap();
    assert_eq!(run.code, 0, "{run:?}");
    for said in ["restarted", "rolled out"] {
        assert!(run.stdout.contains(said), "{run:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_rollout_and_what_it_stops_are_said() {
    let relay = relay(&["db"]).await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    let names = deploy_failing(&relay, 3).await;
    let one = "restart: { enabled: true, gather: 1s, concurrency: 1 }";
    let _consumer = relay.consumer(one).await;
    let event = relay.publish(&["/prod/db"]).await.remove(0);
    let counts = [("workloads", 3), ("restarted", 1), ("notRestarted", 2)];
    let receipt = traced(&relay, &event, &counts).await;
    assert_eq!(examples(&receipt), ["rollout_failed"; 3], "{receipt}");
    assert!(receipt.get("rolledOut").is_none(), "{receipt}");
    let names = strs(&names);
    let failed = noted(&relay, &names, "RolloutFailed").await;
    assert!(
        failed[0].contains("the new value may be wrong"),
        "{failed:?}"
    );
    let skipped = noted(&relay, &names, "RestartSkipped").await;
    let said = format!("Not restarted for event {event} of source prod (rollout_failed)");
    assert!(skipped[0].starts_with(&said), "{skipped:?}");
    let run = relay.hub.cli(&["trace", &event, "--wait"]).await.unwrap();
    assert_eq!(run.code, 1, "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_without_permission_is_counted() {
    let relay = of(Cluster::stand_in("east").await.unwrap(), &["db"]).await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    deploy(&relay, Kind::Deployment, "db", reader("db")).await;
    let patch = On::verb(Verb::Patch, Kind::Deployment).by_token(CONSUMER);
    relay.stand_in().faults().deny(patch);
    let _consumer = relay.consumer(SETTINGS).await;
    let event = relay.publish(&["/prod/db"]).await.remove(0);
    let receipt = traced(&relay, &event, &[("notRestarted", 1)]).await;
    assert_eq!(examples(&receipt), ["forbidden"], "{receipt}");
}
