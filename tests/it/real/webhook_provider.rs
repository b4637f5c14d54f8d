//! ESO's webhook provider, by the guide as it is printed: its objects, its source, its `curl`.

use eso_relay_lab::{
    cluster::{self, external_secret},
    daemon::Daemon,
    documents::Documents,
    installation::{BEARER_TOKEN, CliOutput, Hub, READY, Webhooks, send},
    operator, wait,
};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{Options, Relay, TEAM, VALUE};
use crate::docs::{blocks, read};

const GUIDE: &str = "docs/providers/webhook-provider.md";
const DB: &str = "v1/prod/db";
const ALL: &str = "team-a/secrets";

/// The blocks of this language, with the reader's own service for the one in the guide.
fn printed(language: &str, documents: &Documents) -> Vec<String> {
    let printed = blocks(&read(GUIDE), language).into_iter();
    printed
        .map(|block| block.replace("https://secrets.example", documents.url()))
        .collect()
}

/// A relay with the guide's first source, and its objects in the cluster.
async fn as_printed(documents: &Documents) -> Relay {
    let hub = Hub::start().await.unwrap();
    let yaml = printed("yaml", documents);
    let (objects, settings): (Vec<_>, Vec<_>) = yaml
        .iter()
        .partition(|block| block.starts_with("# eso.yaml"));
    assert_eq!(objects.len(), 2, "{objects:?}");
    let token = hub.secrets().join("token");
    let source = settings[0].replace(
        "/etc/eso-relay/secrets-service",
        &token.display().to_string(),
    );
    let config = format!("nats: {{ url: '{}' }}\n{source}", hub.nats.url());
    let ingress = Daemon::ingress().config(config);
    let relay = Relay::of(hub, ingress, &["east"], Options::default()).await;
    let folder = tempfile::tempdir().unwrap();
    for block in objects {
        let file = folder.path().join("eso.yaml");
        std::fs::write(&file, block).unwrap();
        cluster::apply(&relay.sites[0].client, &file).await.unwrap();
    }
    relay
}

/// Tells of a change of this document, as the guide's source takes it.
async fn changed(relay: &Relay, id: &str, document: &str) -> CliOutput {
    let body = json!({ "id": id, "document": document }).to_string();
    let request = Webhooks::to(&relay.ingress.url()).post("/v1/hooks/secrets-service");
    let answer = send(request.bearer_auth(BEARER_TOKEN).body(body)).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    relay.trace(&answer.accepted()[0]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_curl_brings_a_new_value() {
    if !operator::is_asked_for() {
        return;
    }
    let documents = Documents::start().await.unwrap();
    documents.set_document(DB, json!({ "password": "old", "user": "eso" }));
    documents.set_document(ALL, json!({ "secrets": { "password": "old" } }));
    let relay = as_printed(&documents).await;
    let east = &relay.sites[0];
    east.holds_at("password", TEAM, "db", "old").await;
    east.holds_at("password", TEAM, "all", "old").await;
    assert_eq!(
        documents.authorization().as_deref(),
        Some("Bearer change-me")
    );

    let of_others = documents.reads_of(ALL);
    documents.set_document(DB, json!({ "password": "new", "user": "eso" }));
    let token = relay.hub.secrets().join("token");
    let commands = printed("sh", &documents);
    let curl = commands.iter().find(|block| block.starts_with("curl"));
    let curl = curl
        .unwrap()
        .replace("https://relay.example", &relay.ingress.url())
        .replace(
            "/etc/eso-relay/secrets-service",
            &token.display().to_string(),
        );
    let sent = Command::new("bash")
        .args(["-c", &curl])
        .env("no_proxy", "127.0.0.1")
        .output()
        .await
        .unwrap();
    assert!(sent.status.success(), "{sent:?}");
    let answer: Value = serde_json::from_slice(&sent.stdout).unwrap();
    let told = relay.trace(answer["accepted"][0].as_str().unwrap()).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("synced by ESO 1"), "{told:?}");
    east.holds_at("password", TEAM, "db", "new").await;
    assert_eq!(documents.reads_of(ALL), of_others);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_document_refreshes_all_its_readers() {
    if !operator::is_asked_for() {
        return;
    }
    let documents = Documents::start().await.unwrap();
    documents.set_document(DB, json!({ "password": "old" }));
    documents.set_document(
        ALL,
        json!({ "secrets": { "password": "old", VALUE: "old" } }),
    );
    let relay = as_printed(&documents).await;
    let east = &relay.sites[0];
    let another = external_secret("another").in_namespace(TEAM);
    east.create(another.from_store("secrets-of-team-a").extract("whatever"))
        .await;
    for name in ["all", "another"] {
        east.holds(TEAM, name, "old").await;
    }
    east.holds_at("password", TEAM, "db", "old").await;

    let of_others = documents.reads_of(DB);
    let by_url = format!("{}/{ALL}", documents.url());
    for (id, value, document) in [("1", "new", &*by_url), ("2", "newer", "/team-a/secrets/")] {
        documents.set_document(
            ALL,
            json!({ "secrets": { "password": value, VALUE: value } }),
        );
        let told = changed(&relay, id, document).await;
        assert_eq!(told.code, 0, "{told:?}");
        assert!(told.stdout.contains("synced by ESO 2"), "{told:?}");
        for name in ["all", "another"] {
            east.holds(TEAM, name, value).await;
        }
    }
    assert_eq!(documents.reads_of(DB), of_others);
}

/// Which ESO itself says, so that there is nothing to refresh.
#[tokio::test(flavor = "multi_thread")]
async fn a_find_is_never_synced() {
    if !operator::is_asked_for() {
        return;
    }
    let documents = Documents::start().await.unwrap();
    documents.set_document(DB, json!({ "password": "old" }));
    documents.set_document(ALL, json!({ "secrets": { "password": "old" } }));
    let relay = as_printed(&documents).await;
    let east = &relay.sites[0];
    east.holds_at("password", TEAM, "db", "old").await;
    let finding = external_secret("finding").in_namespace(TEAM);
    east.create(finding.from_store("secrets-service").find_name(".*"))
        .await;
    let told = changed(&relay, "1", "prod/db").await;
    assert!(told.stdout.contains("find_not_supported"), "{told:?}");
    assert!(told.stdout.contains("synced by ESO 1"), "{told:?}");
    let said = || async {
        let log = east.operator.process.log();
        log.contains("not implemented").then_some(())
    };
    wait::until("what ESO says of it", READY, said)
        .await
        .unwrap();
}
