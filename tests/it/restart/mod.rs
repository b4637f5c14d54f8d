//! Workloads restart once, after the Secret that they read has the new value, and for nothing else.

mod fleet;
mod never;
mod references;
mod reports;
mod states;

use std::time::Duration;

use eso_relay::stream::ACK_WAIT;
use eso_relay_lab::{
    cluster::{Kind, get, objects},
    installation::{Cluster, READY},
    standin::{Effect, Eso, On, Times, Verb},
    wait,
    workloads::{
        Controllers, RESTARTED_FOR, RESTARTS, Workload, marks, serve_rollouts, template_of,
    },
};
use futures::StreamExt as _;
use kube::{
    ResourceExt,
    api::{DynamicObject, Patch, PatchParams, WatchEvent, WatchParams},
};
use serde_json::json;

use crate::{
    cli,
    consuming::{CONSUMER, Consuming, TEAM, drained, event, names, strs},
};

/// A short gather, so that a test need not wait for it.
pub(crate) const SETTINGS: &str = "restart: { enabled: true, gather: 1s }";
/// A cluster on the API of the environment, whose ExternalSecrets have all been synced once.
async fn relay(names: &[&str]) -> Consuming {
    of(Cluster::start("east").await.unwrap(), names).await
}

async fn of(cluster: Cluster, names: &[&str]) -> Consuming {
    let relay = Consuming::on(cluster, names).await;
    for name in names {
        relay.synced(name).await;
    }
    relay
}

/// A Deployment that reads the Secret of the same name, opted in.
pub(crate) fn reader(name: &str) -> Workload {
    Workload::deployment(TEAM, name)
        .reads_secret(name)
        .restart()
}

/// Creates it, and waits until it is rolled out for the first time.
pub(crate) async fn deploy(relay: &Consuming, kind: Kind, name: &str, workload: Workload) {
    let client = relay.cluster.client();
    workload.create(client).await.unwrap();
    let api = objects(client, kind, Some(TEAM));
    wait::until(format!("{name} to be rolled out"), READY, || async {
        let status = api.get(name).await.unwrap().data["status"].take();
        let fields = ["availableReplicas", "numberAvailable"];
        fields
            .iter()
            .any(|field| status[*field].as_u64() > Some(0))
            .then_some(())
    })
    .await
    .unwrap();
}

/// So many Deployments that read `db`, and whose rollouts fail; their names.
async fn deploy_failing(relay: &Consuming, count: usize) -> Vec<String> {
    let names = names("web", count);
    for name in &names {
        let web = Workload::deployment(TEAM, name).reads_secret("db");
        let web = web.restart().fails_to_restart();
        deploy(relay, Kind::Deployment, name, web).await;
    }
    names
}

/// What a counter of a Deployment says; `None` where it was never restarted.
pub(crate) async fn count(relay: &Consuming, name: &str, counter: &str) -> Option<String> {
    let marks = marks(relay.cluster.client(), Kind::Deployment, TEAM, name).await;
    marks.unwrap().remove(counter)
}

/// Waits until a Deployment was restarted so often.
pub(crate) async fn restarted(relay: &Consuming, name: &str, times: &str) {
    let what = format!("{times} restarts of {name}");
    wait::until_ok(what, READY, || async {
        let count = count(relay, name, RESTARTS).await;
        (count.as_deref() == Some(times)).then_some(()).ok_or(count)
    })
    .await
    .unwrap();
}

/// The generation of a Deployment: every rollout raises it.
pub(crate) async fn generation(relay: &Consuming, name: &str) -> i64 {
    let api = objects(relay.cluster.client(), Kind::Deployment, Some(TEAM));
    api.get(name).await.unwrap().metadata.generation.unwrap()
}

/// Where an object stands in the order of all changes: of one store on the real API too.
fn order(object: &DynamicObject) -> u64 {
    object.resource_version().unwrap().parse().unwrap()
}

/// A Deployment as it was right after its first restart.
async fn first_restart(relay: &Consuming, name: &str) -> impl Future<Output = DynamicObject> {
    let api = objects(relay.cluster.client(), Kind::Deployment, Some(TEAM));
    let now = api.get(name).await.unwrap().resource_version().unwrap();
    let changes = api.watch(&WatchParams::default(), &now).await.unwrap();
    let (mut changes, name) = (changes.boxed(), name.to_owned());
    async move {
        while let Some(change) = changes.next().await {
            if let WatchEvent::Modified(object) = change.unwrap()
                && object.name_any() == name
                && template_of(&object).contains_key(RESTARTED_FOR)
            {
                return object;
            }
        }
        panic!("the watch ended")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_restarts_after_its_secret_was_synced() {
    let mut relay = relay(&["db"]).await;
    let slow = Eso::builder().delay(Duration::from_secs(2));
    relay.cluster.eso = slow.start(relay.cluster.client(), &relay.cluster.values);
    let _controllers = Controllers::builder().start(relay.cluster.client());
    deploy(&relay, Kind::Deployment, "db", reader("db")).await;
    let _consumer = relay.consumer(SETTINGS).await;
    let restart = first_restart(&relay, "db").await;
    relay.cluster.values.set("/prod/db", "new");
    let values = relay.publish(&["/prod/db"]).await;
    let restart = tokio::time::timeout(READY, restart).await.unwrap();
    assert_eq!(template_of(&restart)[RESTARTED_FOR], values[0]);
    relay.drained().await;
    // Nothing has written these since.
    let client = relay.cluster.client();
    let secret = objects(client, Kind::Secret, Some(TEAM)).get("db").await;
    let external_secret = get(client, TEAM, "db").await.unwrap().unwrap();
    assert!(order(&secret.unwrap()) < order(&restart));
    assert!(order(&external_secret) < order(&restart));
    assert_eq!(count(&relay, "db", RESTARTS).await.unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_workload_and_of_reading_is_restarted() {
    let relay = relay(&["db"]).await;
    serve_rollouts(&relay.cluster).await.unwrap();
    let controllers = Controllers::builder().with_rollouts();
    let _controllers = controllers.start(relay.cluster.client());
    for (kind, workload) in [
        (
            Kind::Deployment,
            Workload::deployment(TEAM, "web").env_from("db"),
        ),
        (
            Kind::StatefulSet,
            Workload::stateful_set(TEAM, "web").reads_secret("db"),
        ),
        (
            Kind::DaemonSet,
            Workload::daemon_set(TEAM, "web").reads_secret("db"),
        ),
        (
            Kind::Rollout,
            Workload::rollout(TEAM, "web").reads_secret("db"),
        ),
    ] {
        deploy(&relay, kind, "web", workload.restart()).await;
    }
    let named = Workload::deployment(TEAM, "named").reads_secret("db");
    deploy(
        &relay,
        Kind::Deployment,
        "named",
        named.restart_for(&["other", "db"]),
    )
    .await;
    let another = Workload::deployment(TEAM, "another").reads_secret("db");
    deploy(
        &relay,
        Kind::Deployment,
        "another",
        another.restart_for(&["other"]),
    )
    .await;
    // The kubelet brings it up to date.
    let mounted = Workload::deployment(TEAM, "mounted").mounts_secret("db");
    deploy(&relay, Kind::Deployment, "mounted", mounted.restart()).await;

    let _consumer = relay.consumer(SETTINGS).await;
    relay.publish(&["/prod/db"]).await;
    relay.drained().await;
    let client = relay.cluster.client();
    for kind in [
        Kind::Deployment,
        Kind::StatefulSet,
        Kind::DaemonSet,
        Kind::Rollout,
    ] {
        let marks = marks(client, kind, TEAM, "web").await.unwrap();
        assert_eq!(marks[RESTARTS], "1", "{kind:?}");
    }
    let rollout = objects(client, Kind::Rollout, Some(TEAM)).get("web").await;
    assert!(rollout.unwrap().data["spec"]["restartAt"].is_string());
    for (name, expected) in [("named", Some("1")), ("another", None), ("mounted", None)] {
        let count = count(&relay, name, RESTARTS).await;
        assert_eq!(count.as_deref(), expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_secrets_of_one_workload_are_one_rollout() {
    let names = ["user", "password", "host"];
    let relay = relay(&names).await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    let web = names
        .iter()
        .fold(Workload::deployment(TEAM, "web"), |web, name| {
            web.reads_secret(name)
        });
    deploy(&relay, Kind::Deployment, "web", web.restart()).await;
    let _consumer = relay.consumer(SETTINGS).await;
    let mut published = Vec::new();
    for name in names {
        published.extend(relay.publish(&[&format!("/prod/{name}")]).await);
    }
    relay.drained().await;
    let marks = marks(relay.cluster.client(), Kind::Deployment, TEAM, "web");
    let marks = marks.await.unwrap();
    let mut carried: Vec<_> = marks[RESTARTED_FOR].split(',').collect();
    carried.sort_unstable();
    published.sort_unstable();
    assert_eq!(carried, published);
    assert_eq!(marks[RESTARTS], "1");
    assert_eq!(generation(&relay, "web").await, 2, "one rollout");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivery_restarts_nothing() {
    let relay = relay(&["db"]).await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    deploy(&relay, Kind::Deployment, "db", reader("db")).await;
    let _consumer = relay.consumer(SETTINGS).await;
    let events = [event("/prod/db"), event("/prod/db")];
    // The older one again after the newer one.
    for (event, times) in [(0, "1"), (0, "1"), (1, "2"), (0, "2"), (1, "2")] {
        cli::publish(&relay.jetstream, &events[event..=event]).await;
        relay.drained().await;
        assert_eq!(count(&relay, "db", RESTARTS).await.as_deref(), Some(times));
    }
    assert_eq!(generation(&relay, "db").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_the_patch_leaves_one_restart() {
    let relay = relay(&["db"]).await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    deploy(&relay, Kind::Deployment, "db", reader("db")).await;
    let mut killed = relay.consumer(SETTINGS).await;
    relay.publish(&["/prod/db"]).await;
    restarted(&relay, "db", "1").await;
    killed.kill9().unwrap();
    let _other = relay.consumer(SETTINGS).await;
    drained(&relay.jetstream, "east", ACK_WAIT + READY).await;
    assert_eq!(count(&relay, "db", RESTARTS).await.unwrap(), "1");
    assert_eq!(generation(&relay, "db").await, 2);
}

/// The patch is done, its answer is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_does_not_count_twice() {
    let relay = of(Cluster::stand_in("east").await.unwrap(), &["db"]).await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    deploy(&relay, Kind::Deployment, "db", reader("db")).await;
    let patch = On::verb(Verb::Patch, Kind::Deployment).by_token(CONSUMER);
    let faults = relay.stand_in().faults();
    faults.inject(patch, Effect::Disconnect, Times::Next(1));
    let _consumer = relay.consumer(SETTINGS).await;
    relay.publish(&["/prod/db"]).await;
    relay.drained().await;
    assert_eq!(count(&relay, "db", RESTARTS).await.unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_restarts_when_it_succeeds() {
    let relay = relay(&["db"]).await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    deploy(&relay, Kind::Deployment, "db", reader("db")).await;
    let _consumer = relay.consumer(SETTINGS).await;
    relay.cluster.values.remove("/prod/db");
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &values[0]).await;
    let client = relay.cluster.client();
    wait::until("ESO to fail", READY, || async {
        let object = get(client, TEAM, "db").await.unwrap()?;
        let condition = &object.data["status"]["conditions"][0];
        (condition["status"] == "False").then_some(())
    })
    .await
    .unwrap();
    // The old value again is of no use; the event waits.
    assert_eq!(count(&relay, "db", RESTARTS).await, None);
    assert_eq!(relay.durable().await.num_ack_pending, 1);

    // ESO tries again by itself; the stand-in does when the object changes.
    relay.cluster.values.set("/prod/db", "new");
    let touched = json!({ "metadata": { "labels": { "tried": "again" } } });
    let api = objects(client, Kind::ExternalSecret, Some(TEAM));
    let (params, touched) = (PatchParams::default(), Patch::Merge(&touched));
    api.patch("db", &params, &touched).await.unwrap();
    restarted(&relay, "db", "1").await;
    relay.drained().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_rollout_stops_the_rest_of_the_event() {
    let relay = relay(&["db"]).await;
    let _controllers = Controllers::builder().start(relay.cluster.client());
    let names = deploy_failing(&relay, 4).await;
    let one = "restart: { enabled: true, gather: 1s, concurrency: 1 }";
    let _consumer = relay.consumer(one).await;
    relay.publish(&["/prod/db"]).await;
    relay.drained().await;
    let mut restarts = 0;
    for name in &names {
        restarts += usize::from(count(&relay, name, RESTARTS).await.is_some());
    }
    assert_eq!(restarts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_roll_at_once_than_configured() {
    let relay = relay(&["db"]).await;
    let slow = Controllers::builder().delay(Duration::from_millis(200));
    let controllers = slow.start(relay.cluster.client());
    let names = names("web", 10);
    for name in &names {
        let web = Workload::deployment(TEAM, name).reads_secret("db");
        deploy(&relay, Kind::Deployment, name, web.restart()).await;
    }
    let two = "restart: { enabled: true, gather: 1s, concurrency: 2 }";
    let _consumer = relay.consumer(two).await;
    relay.publish(&["/prod/db"]).await;
    for name in strs(&names) {
        restarted(&relay, name, "1").await;
    }
    relay.drained().await;
    assert!(controllers.most_at_once() <= 2);
}
