//! Stores of ESO's webhook provider, whose secrets are documents behind a URL: from the ingress to the patch.

use eso_relay_lab::{
    cluster::{ExternalSecretBuilder, create_all, external_secret, store},
    daemon::Daemon,
    installation::{BEARER_TOKEN, Cluster, READY, Webhooks, send},
    standin::Served,
    wait,
};
use serde_json::json;

use crate::{
    consuming::{Consuming, TEAM},
    notes::noted,
};

const BY_KEY: &str = "https://h/s/{{ .remoteRef.key }}";

fn named(name: &str, store: &str) -> ExternalSecretBuilder {
    external_secret(name).in_namespace(TEAM).from_store(store)
}

/// A source for each format that names documents, and a cluster that reads some.
struct Site {
    relay: Consuming,
    ingress: Daemon,
    consumer: Daemon,
}

impl Site {
    async fn start(served: Option<Served>) -> Self {
        let cluster = match served {
            Some(_) => Cluster::stand_in("east").await.unwrap(),
            None => Cluster::start("east").await.unwrap(),
        };
        let relay = Consuming::on(cluster, &[]).await;
        let client = relay.cluster.client();
        let reading = |name, url| {
            let provider = json!({ "webhook": { "url": url, "result": { "jsonPath": "$" } } });
            store(name).in_namespace(TEAM).provider(provider)
        };
        let stores = [
            reading("by-key", BY_KEY),
            reading("one", "https://h/secrets"),
        ];
        create_all(client, stores, 2).await.unwrap();
        let objects = [
            named("db", "by-key").key("a/b"),
            named("other", "by-key").key("b"),
            named("user", "one").key("username"),
            named("word", "one").key("password"),
            named("finding", "by-key").find_name("^a/b$"),
        ];
        create_all(client, objects, 5).await.unwrap();
        if let Some(served) = served {
            relay.stand_in().serve(served);
        }
        let consumer = relay.consumer("").await;
        let token = relay.hub.secrets().join("token").display().to_string();
        let source = |name: &str, more: &str| {
            format!(
                "- {{ name: {name}, auth: {{ bearer: {{ token_file: '{token}' }} }}, provider: webhook, {more} }}\n"
            )
        };
        let sources = [
            source("documents", "format: generic, mapping: { keys: /document }"),
            source(
                "places",
                "format: generic, mapping: { scope: { host: /host } }",
            ),
            source("events", "format: cloudevents"),
        ];
        let url = relay.hub.url();
        let config = format!("nats: {{ url: '{url}' }}\nsources:\n{}", sources.concat());
        let mut ingress = Daemon::ingress().config(config).start().await.unwrap();
        ingress.wait_ready(READY).await.unwrap();
        Self {
            relay,
            ingress,
            consumer,
        }
    }

    /// Sends it to this source, until all that it means is patched.
    async fn post(&self, source: &str, body: &serde_json::Value) {
        let webhooks = Webhooks::to(&self.ingress.url());
        let mut request = webhooks.post(&format!("/v1/hooks/{source}"));
        if source == "events" {
            // In binary mode: the attributes are headers.
            for (name, value) in body.as_object().unwrap() {
                request = request.header(format!("ce-{name}"), value.as_str().unwrap());
            }
        }
        let answer = send(request.bearer_auth(BEARER_TOKEN).body(body.to_string())).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
        self.relay.drained().await;
    }

    /// What each of all carries.
    async fn values(&self) -> Vec<(&'static str, Option<String>)> {
        let mut values = Vec::new();
        for name in ["db", "other", "user", "word", "finding"] {
            values.push((name, self.relay.cluster.refresh_of(TEAM, name).await));
        }
        values
    }

    /// Which of all it refreshes.
    async fn refreshed_by(&self, source: &str, body: &serde_json::Value) -> Vec<&'static str> {
        let before = self.values().await;
        self.post(source, body).await;
        let mut after = self.values().await;
        after.retain(|value| !before.contains(value));
        after.into_iter().map(|(name, _)| name).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_named_by_key_url_or_path() {
    let site = Site::start(None).await;
    for (document, read) in [
        ("a/b", &["db"][..]),
        ("a%2Fb", &["db"]),
        ("https://h/s/a%2Fb", &["db"]),
        ("/s/a/b", &["db"]),
        ("https://h/secrets", &["user", "word"]),
        ("username", &["user"]),
        ("https://i/secrets", &[]),
    ] {
        let body = json!({ "document": document });
        let refreshed = site.refreshed_by("documents", &body).await;
        assert_eq!(refreshed, read, "{document}");
    }
    let all = ["db", "other", "user", "word"];
    let refreshed = site.refreshed_by("places", &json!({ "host": "h" })).await;
    assert_eq!(refreshed, all);
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "service", "type": "changed",
        "subject": "https://h/s/b",
    });
    assert_eq!(site.refreshed_by("events", &event).await, ["other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_find_is_skipped_and_says_why() {
    let site = Site::start(None).await;
    site.post("documents", &json!({ "document": "a/b" })).await;
    let note = noted(&site.relay, "finding", "NotRefreshable").await;
    assert_eq!(note["type"], "Warning");
    let text = note["note"].as_str().unwrap();
    assert!(text.contains("find_not_supported"), "{text}");
    let metric = "eso_relay_consumer_skipped_total";
    let labels = [("reason", "find_not_supported")];
    assert_eq!(site.consumer.count(metric, &labels).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_counts_in_v1beta1_too() {
    let site = Site::start(Some(Served::V1beta1)).await;
    site.post("documents", &json!({ "document": "/secrets" }))
        .await;
    // Not read through the API: the lab's own client speaks v1.
    for name in ["user", "word"] {
        let patched = || async { site.relay.requests().patches(TEAM, name).pop() };
        wait::until("a patch", READY, patched).await.unwrap();
    }
}
