//! What `kubectl describe` shows of an ExternalSecret: Kubernetes Events of the consumer.

use eso_relay_lab::{
    cluster::{ExternalSecretBuilder, Fixture, Kind, events_on, external_secret, get, objects},
    daemon::Daemon,
    installation::{Cluster, READY},
    standin::{Effect, On, Times, Verb},
    wait,
};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::consuming::{CONSUMER, Consuming, TEAM};

const METRIC: &str = "eso_relay_consumer_kubernetes_events_total";

/// The Events on an ExternalSecret of [`TEAM`].
pub(crate) async fn on(relay: &Consuming, name: &str) -> Vec<Value> {
    let client = relay.cluster.client();
    events_on(client, Kind::ExternalSecret, Some(TEAM), name)
        .await
        .unwrap()
}

/// Waits for the first one with this reason.
pub(crate) async fn noted(relay: &Consuming, name: &str, reason: &str) -> Value {
    let what = format!("{reason} on {name}");
    wait::until_ok(what, READY, || async {
        let events = on(relay, name).await;
        let found = events.iter().find(|event| event["reason"] == reason);
        found.cloned().ok_or(events)
    })
    .await
    .unwrap()
}

/// Waits until so much has become of notes.
async fn told(consumer: &Daemon, result: &str, times: u64) {
    let what = format!("{times} {result}");
    wait::until_ok(what, READY, || async {
        let count = consumer.count(METRIC, &[("result", result)]).await.unwrap();
        (count == times).then_some(()).ok_or(count)
    })
    .await
    .unwrap();
}

async fn stop(mut consumer: Daemon) {
    consumer.terminate().unwrap();
    let status = consumer.wait_exit(READY).await.unwrap();
    assert!(status.success(), "{}", consumer.logs());
}

/// An ExternalSecret of [`TEAM`] that reads `/prod/db`.
fn reads_db(name: &str) -> ExternalSecretBuilder {
    let object = external_secret(name).in_namespace(TEAM);
    object.from_store("akeyless").key("/prod/db")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refreshed_object_shows_by_what_and_how_long_eso_took() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let _consumer = relay.consumer("").await;
    let values = relay.publish(&["/prod/db"]).await;
    let event = noted(&relay, "db", "Refreshed").await;
    assert_eq!(event["type"], "Normal");
    assert_eq!(event["reportingController"], "eso-relay");
    let note = event["note"].as_str().unwrap();
    let cause = format!("event {} of source prod", values[0]);
    assert!(note.contains(&cause), "{note}");
    assert!(note.contains("ESO has synced it"), "{note}");
    let object = get(relay.cluster.client(), TEAM, "db").await.unwrap();
    let uid = object.unwrap().metadata.uid.unwrap();
    let regarding = &event["regarding"];
    assert_eq!(regarding["uid"], uid);
    assert_eq!(regarding["namespace"], TEAM);
    assert_eq!(regarding["apiVersion"], "external-secrets.io/v1");
    if relay.cluster.as_stand_in().is_none() {
        is_found_by_kubectl(relay.cluster.client(), &uid).await;
    }
}

/// By the search of `kubectl describe`, through the older API.
async fn is_found_by_kubectl(client: &kube::Client, uid: &str) {
    let search = format!(
        "/api/v1/namespaces/{TEAM}/events?fieldSelector=involvedObject.name%3Ddb,\
         involvedObject.namespace%3D{TEAM},involvedObject.kind%3DExternalSecret,\
         involvedObject.uid%3D{uid}"
    );
    let request = axum::http::Request::get(search).body(Vec::new()).unwrap();
    let found: Value = client.request(request).await.unwrap();
    assert_eq!(found["items"][0]["reason"], "Refreshed", "{found}");
    assert_eq!(found["items"][0]["reportingComponent"], "eso-relay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skipped_object_gets_one_event() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &[]).await;
    let client = relay.cluster.client();
    let once = reads_db("once").refresh_policy("CreatedOnce");
    relay.cluster.values.set("/prod/db", "old");
    once.create(client).await.unwrap();
    relay.synced("once").await;
    let ignored = reads_db("ignored").annotated("eso-relay.dev/ignore", "true");
    ignored.create(client).await.unwrap();

    let consumer = relay.consumer("").await;
    relay.publish(&["/prod/db"; 3]).await;
    told(&consumer, "repeated", 2).await;
    let event = noted(&relay, "once", "NotRefreshable").await;
    let note = event["note"].as_str().unwrap();
    assert!(note.contains("created_once"), "{note}");
    assert!(note.contains("set spec.refreshPolicy to OnChange"));
    stop(consumer).await;

    // What the one before has told is there already.
    let consumer = relay.consumer("").await;
    relay.publish(&["/prod/db"]).await;
    told(&consumer, "already_there", 1).await;
    relay.publish(&["/prod/db"]).await;
    told(&consumer, "repeated", 1).await;
    assert_eq!(on(&relay, "once").await.len(), 1);
    assert_eq!(on(&relay, "ignored").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_gets_the_event() {
    const FORCE_SYNC: &str = "external-secrets.io/force-sync";
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let client = relay.cluster.client();
    let kind = Kind::ClusterExternalSecret;
    let spec = json!({ "externalSecretSpec": { "secretStoreRef": { "name": "akeyless" } } });
    let owner = Fixture::new(kind, None, "owner", spec);
    let owner = owner.create(client).await.unwrap();
    let mut child = Fixture::from(reads_db("child")).into_json();
    child["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "external-secrets.io/v1",
        "kind": kind.name(),
        "name": "owner",
        "uid": owner.metadata.uid,
        "controller": true,
    }]);
    let child = serde_json::from_value(child).unwrap();
    let children = objects(client, Kind::ExternalSecret, Some(TEAM));
    let params = PostParams::default();
    children.create(&params, &child).await.unwrap();

    let _consumer = relay.consumer("").await;
    let values = relay.publish(&["/prod/db"]).await;
    relay.drained().await;
    // As ESO copies it.
    let copy = json!({ "metadata": { "annotations": { FORCE_SYNC: values[0] } } });
    let params = PatchParams::default();
    let patch = Patch::Merge(&copy);
    children.patch("child", &params, &patch).await.unwrap();
    let events = wait::until("an Event on the owner", READY, || async {
        let events = events_on(client, kind, None, "owner").await.unwrap();
        (!events.is_empty()).then_some(events)
    })
    .await
    .unwrap();
    assert_eq!(events[0]["reason"], "Refreshed", "{events:?}");
    assert_eq!(
        events[0]["regarding"]["uid"],
        owner.metadata.uid.unwrap().as_str()
    );
    assert_eq!(on(&relay, "child").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_logged_once() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db", "web", "mail"]).await;
    let creation = On::verb(Verb::Create, Kind::Event).by_token(CONSUMER);
    relay.stand_in().faults().deny(creation);
    let consumer = relay.consumer("").await;
    let names = ["db", "web", "mail"];
    for name in names {
        let values = relay.publish(&[&format!("/prod/{name}")]).await;
        relay.carries(name, &values[0]).await;
    }
    relay.drained().await;
    told(&consumer, "denied", 3).await;
    let refused = relay.requests().count_of(Verb::Create, Kind::Event, 403);
    assert_eq!(refused, 1, "it is tried again after minutes");
    let complaint = "no permission to create events in events.k8s.io";
    consumer.wait_log(complaint, READY).await.unwrap();
    let log = consumer.logs();
    assert_eq!(log.matches(complaint).count(), 1, "{log}");
    for name in names {
        assert_eq!(on(&relay, name).await.len(), 0);
    }
    stop(consumer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_events_api_delays_nothing() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let creation = On::verb(Verb::Create, Kind::Event).by_token(CONSUMER);
    let faults = relay.stand_in().faults();
    faults.inject(creation, Effect::Hang, Times::All);
    let consumer = relay.consumer("").await;
    for _ in 0..20 {
        let values = relay.publish(&["/prod/db"]).await;
        relay.carries("db", &values[0]).await;
    }
    relay.drained().await;
    stop(consumer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wants_no_events_gets_none() {
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let once = reads_db("once").refresh_policy("CreatedOnce");
    once.create(relay.cluster.client()).await.unwrap();
    relay.synced("once").await;
    let consumer = relay.consumer("kubernetes: { events: false }").await;
    relay.publish(&["/prod/db"]).await;
    let metric = "eso_relay_consumer_syncs_total";
    wait::until("the sync to be seen", READY, || async {
        let synced = consumer.count(metric, &[("result", "synced")]).await;
        (synced.unwrap() == 1).then_some(())
    })
    .await
    .unwrap();
    stop(consumer).await;
    assert_eq!(relay.requests().count(Verb::Create, Kind::Event), 0);
}
