//! One search for a trace finds the way of one change.

use eso_relay::{event::decode_batch, stream::Stream};
use eso_relay_lab::{
    cluster::{create_namespace, external_secret, store},
    installation::{BASIC_PASSWORD, BASIC_USER, Cluster, Installation, READY, akeyless, send},
};
use serde_json::{Value, json};

use crate::stored;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test(flavor = "multi_thread")]
async fn a_traceparent_reaches_both_daemons() {
    let cluster = Cluster::start("east").await.unwrap();
    create_namespace(cluster.client(), "team-a").await.unwrap();
    let akeyless_store = store("akeyless").in_namespace("team-a").akeyless();
    akeyless_store.create(cluster.client()).await.unwrap();
    let db = external_secret("db").in_namespace("team-a");
    let db = db.from_store("akeyless").key("/prod/db");
    db.create(cluster.client()).await.unwrap();
    let installation = Installation::start(vec![cluster]).await.unwrap();

    let webhook = json!([akeyless(1, "prod/db")]);
    let request = installation.webhooks().post("/v1/hooks/akeyless");
    let request = request
        .basic_auth(BASIC_USER, Some(BASIC_PASSWORD))
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    let answer = send(request.body(webhook.to_string())).await.unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    let cluster = &installation.clusters[0];
    let value = cluster.refreshed("team-a", "db", None).await.unwrap();

    let jetstream = installation.hub.jetstream().await.unwrap();
    let messages = stored::messages(&jetstream, Stream::Events).await;
    let event = decode_batch(&messages[0].payload).unwrap().remove(0);
    let trace = event.unwrap().traceparent.unwrap();
    assert_eq!(trace.trace_id(), TRACE);

    let accepted = installation.ingress.wait_log(TRACE, READY).await.unwrap();
    assert!(accepted.contains(r#""message":"accepted""#), "{accepted}");
    let consumer = &installation.consumers[0];
    let matched = line(&consumer.wait_log("event matched", READY).await.unwrap());
    let patched = line(&consumer.wait_log(r#""patched""#, READY).await.unwrap());
    for line in [&matched, &patched] {
        assert_eq!(line["trace_id"], TRACE, "{line}");
    }
    assert_eq!(patched["event"], value, "the value on the object");
    assert_eq!(patched["object"], "team-a/db");
}

fn line(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}
