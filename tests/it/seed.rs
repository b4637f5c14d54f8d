//! The drop-in: `POST /webhook` as the first release had it, with two variables and no file.

use std::fmt::Write as _;

use eso_relay_lab::{
    cluster::{create_namespace, external_secret, store},
    daemon::Daemon,
    installation::{BASIC_PASSWORD, BASIC_USER, Cluster, Hub, READY, Webhooks},
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::stored;

const NAMESPACE: &str = "team-a";
/// By name; each names the key that its ExternalSecrets read.
const ITEMS: [&str; 11] = [
    "array",
    "single",
    "numbers",
    "strings",
    "nested",
    "created",
    "failed",
    "unheard-of",
    "no-type",
    "first-of-two",
    "second-of-two",
];

/// The payloads of the first release, each about the item of its name.
fn payloads() -> Vec<Value> {
    let event = |item: &str, kind: &str| {
        json!({
            "event_id": "e1", "event_level": "info", "event_type": kind,
            "item_name": format!("/seed/{item}"), "item_id": 17, "item_type": "static_secret",
            "payload": {},
        })
    };
    let updated = |item| event(item, "static-secret-updated");
    let with = |mut event: Value, field: &str, value: Value| {
        event[field] = value;
        event
    };
    let nested = json!({ "a": { "b": [1, [null, { "c": true }]] }, "text": "x" });
    vec![
        json!([updated("array")]),
        updated("single"),
        json!([with(updated("numbers"), "event_id", json!(42))]),
        json!([with(updated("strings"), "item_id", json!("17"))]),
        json!([with(updated("nested"), "payload", nested)]),
        json!([event("created", "static-secret-created")]),
        json!([event("failed", "rotated-secret-failure")]),
        json!([event("unheard-of", "no-such-item")]),
        json!([{ "item_name": "/seed/no-type" }]),
        json!([updated("first-of-two"), updated("second-of-two")]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn two_variables_start_the_compatible_webhook() {
    let cluster = Cluster::start("east").await.unwrap();
    create_namespace(cluster.client(), NAMESPACE).await.unwrap();
    for store in [store("akeyless").akeyless(), store("vault").vault()] {
        let store = store.in_namespace(NAMESPACE);
        store.create(cluster.client()).await.unwrap();
    }
    for item in ITEMS {
        // With and without the leading slash, whatever the webhook says.
        for (store, slash) in [("akeyless", ""), ("vault", "/")] {
            secret(&cluster, store, item, &format!("{slash}seed/{item}")).await;
        }
    }
    secret(&cluster, "akeyless", "longer", "/seed/array2").await;
    secret(&cluster, "vault", "below", "/seed/array/below").await;
    secret(&cluster, "akeyless", "shorter", "/seed/arra").await;
    let hub = Hub::start().await.unwrap();
    hub.init(&["east"]).await.unwrap();
    let mut consumer = cluster.consumer(&hub, "").start().await.unwrap();
    consumer.wait_ready(READY).await.unwrap();
    let (_ingress, webhooks) = ingress(&hub).await;

    for payload in payloads() {
        let answer = webhooks.seed(&payload).await.unwrap();
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{payload}: {answer:?}");
    }
    for item in ITEMS {
        for store in ["akeyless", "vault"] {
            let name = format!("{item}-{store}");
            cluster.refreshed(NAMESPACE, &name, None).await.unwrap();
        }
    }
    // Every event is done with, so what has no refresh by now gets none.
    for name in ["longer-akeyless", "below-vault", "shorter-akeyless"] {
        assert_eq!(cluster.refresh_of(NAMESPACE, name).await, None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_payload_refreshes_again_each_time_it_is_sent() {
    let cluster = Cluster::start("east").await.unwrap();
    create_namespace(cluster.client(), NAMESPACE).await.unwrap();
    let store = store("akeyless").akeyless().in_namespace(NAMESPACE);
    store.create(cluster.client()).await.unwrap();
    secret(&cluster, "akeyless", "array", "seed/array").await;
    let hub = Hub::start().await.unwrap();
    hub.init(&["east"]).await.unwrap();
    let mut consumer = cluster.consumer(&hub, "").start().await.unwrap();
    consumer.wait_ready(READY).await.unwrap();
    let (_ingress, webhooks) = ingress(&hub).await;

    let mut last = None;
    for _ in 0..3 {
        let answer = webhooks.seed(&payloads()[0]).await.unwrap();
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        let refreshed = cluster.refreshed(NAMESPACE, "array-akeyless", last.as_deref());
        last = Some(refreshed.await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nameless_elements_are_ignored() {
    let hub = Hub::start().await.unwrap();
    hub.init(&[]).await.unwrap();
    let (_ingress, webhooks) = ingress(&hub).await;

    let answer = webhooks.seed(&json!([])).await.unwrap();
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    let nameless = json!([{ "item_name": "seed/array" }, { "event_id": "2" }]);
    let answer = webhooks.seed(&nameless).await.unwrap();
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    let jetstream = hub.jetstream().await.unwrap();
    assert_eq!(stored::ids(&jetstream).await.len(), 1);
    let answer = webhooks.seed(&json!([{ "event_id": "2" }])).await.unwrap();
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.body.contains("element 0: item_name"), "{answer:?}");
    assert_eq!(stored::ids(&jetstream).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_variable_alone_is_refused() {
    let (user, password) = ("BASIC_AUTH_USER", "BASIC_AUTH_PASSWORD");
    for (set, missing) in [(&[user][..], password), (&[password], user)] {
        let told = refusal(set).await;
        let named = told.contains(&format!("{missing} is not set"));
        assert!(named && !told.contains(BASIC_PASSWORD), "{told}");
    }
    let told = refusal(&[]).await;
    assert!(told.contains(user) && told.contains(password), "{told}");
}

/// What it says when it is started with these variables alone.
async fn refusal(set: &[&str]) -> String {
    let ingress = Daemon::ingress().env("ESO_RELAY__NATS__URL", "nats://127.0.0.1:1");
    let ingress = set
        .iter()
        .fold(ingress, |ingress, name| ingress.env(name, BASIC_PASSWORD));
    let error = ingress.start().await.err().expect("it refuses to start");
    let mut told = String::new();
    write!(told, "{error:#}").unwrap();
    assert!(told.contains("ended (exit status: 1)"), "{told}");
    told
}

/// The ingress of the first release: two variables, and where NATS is.
async fn ingress(hub: &Hub) -> (Daemon, Webhooks) {
    let ingress = Daemon::ingress()
        .env("BASIC_AUTH_USER", BASIC_USER)
        .env("BASIC_AUTH_PASSWORD", BASIC_PASSWORD)
        .env("ESO_RELAY__NATS__URL", hub.nats.url());
    let mut ingress = ingress.start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let webhooks = Webhooks::to(&ingress.url());
    (ingress, webhooks)
}

/// The ExternalSecret `<item>-<store>`.
async fn secret(cluster: &Cluster, store: &str, item: &str, key: &str) {
    let secret = external_secret(&format!("{item}-{store}")).in_namespace(NAMESPACE);
    let secret = secret.from_store(store).key(key);
    secret.create(cluster.client()).await.unwrap();
}
