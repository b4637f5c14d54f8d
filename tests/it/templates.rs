//! A ConfigMap or a Secret of the cluster that a template takes has changed.

use eso_relay_lab::{
    cluster::{create_all, create_namespace, external_secret, store},
    installation::{BASIC_PASSWORD, Cluster, READY, Webhooks, send as answer},
    wait,
};
use serde_json::json;

use crate::consuming::{Consuming, TEAM};

async fn templated() -> Consuming {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let client = relay.cluster.client();
    create_namespace(client, "team-b").await.unwrap();
    let akeyless = store("akeyless").in_namespace("team-b").akeyless();
    akeyless.create(client).await.unwrap();
    let taking = |name, namespace, source: &str| {
        let object = external_secret(name).in_namespace(namespace);
        let (kind, of_it) = source.split_once('/').unwrap();
        object
            .from_store("akeyless")
            .key("/prod/x")
            .template_from(kind, of_it)
    };
    let all = [
        taking("config", TEAM, "configMap/operator-config"),
        taking("secret", TEAM, "secret/my-secret"),
        taking("other", TEAM, "configMap/other-config"),
        taking("config", "team-b", "configMap/operator-config"),
        // A key that is called so is another thing.
        external_secret("key")
            .in_namespace(TEAM)
            .from_store("akeyless")
            .key("ConfigMap/operator-config"),
    ];
    create_all(client, all, 5).await.unwrap();
    relay
}

async fn send(relay: &Consuming, arguments: &str) {
    let arguments: Vec<_> = arguments.split(' ').collect();
    let output = relay.hub.cli(&arguments).await.unwrap();
    assert_eq!(output.code, 0, "{output:?}");
}

async fn refreshed(relay: &Consuming, namespace: &str, name: &str) -> String {
    let what = format!("a refresh of {namespace}/{name}");
    let value = || relay.cluster.refresh_of(namespace, name);
    wait::until(what, READY, value).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_source_refreshes_its_users() {
    let relay = templated().await;
    let _consumer = relay.consumer("").await;
    send(
        &relay,
        "send --template ConfigMap/operator-config -n team-a",
    )
    .await;
    let first = refreshed(&relay, TEAM, "config").await;
    relay.drained().await;
    for (namespace, name) in [
        (TEAM, "secret"),
        (TEAM, "other"),
        (TEAM, "key"),
        (TEAM, "db"),
        ("team-b", "config"),
    ] {
        let value = relay.cluster.refresh_of(namespace, name).await;
        assert_eq!(value, None, "{namespace}/{name}");
    }
    send(&relay, "send --template Secret/my-secret").await;
    refreshed(&relay, TEAM, "secret").await;
    send(&relay, "send --template ConfigMap/operator-config").await;
    refreshed(&relay, "team-b", "config").await;
    relay.drained().await;
    assert_ne!(refreshed(&relay, TEAM, "config").await, first);
    // Nor does a key of a store mean a template.
    let values = relay.publish(&["ConfigMap/operator-config"]).await;
    relay.carries("key", &values[0]).await;
    relay.drained().await;
    assert_ne!(refreshed(&relay, TEAM, "config").await, values[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_watches_a_cluster_tells_of_sources_by_webhook() {
    let relay = templated().await;
    let token = relay.hub.secrets().join("password");
    let source = format!(
        "- {{ name: watcher, format: generic, auth: {{ bearer: {{ token_file: '{}' }} }}, \
         mapping: {{ keys: /metadata/name, template: /kind, scope: {{ namespace: /metadata/namespace }} }} }}",
        token.display()
    );
    let mut ingress = relay.hub.ingress_with(&source).start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let _consumer = relay.consumer("").await;
    let body = json!({
        "kind": "ConfigMap",
        "metadata": { "name": "operator-config", "namespace": TEAM },
    });
    let post = Webhooks::to(&ingress.url()).post("/v1/hooks/watcher");
    let post = post.bearer_auth(BASIC_PASSWORD).body(body.to_string());
    let answer = answer(post).await.unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    refreshed(&relay, TEAM, "config").await;
    relay.drained().await;
    assert_eq!(relay.cluster.refresh_of("team-b", "config").await, None);
}
