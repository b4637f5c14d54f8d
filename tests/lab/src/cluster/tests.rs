use serde_json::json;

use super::*;
use crate::standin::StandIn;

#[test]
fn an_external_secret_says_what_its_builder_said() {
    let fixture = Fixture::from(
        external_secret("db")
            .in_namespace("team-a")
            .from_store("akeyless")
            .key("/prod/db")
            .key("/prod/other")
            .cluster_source_ref("shared")
            .extract("/prod/json")
            .find_name("^prod")
            .source_ref("vault")
            .annotated("a", "1"),
    );
    assert_eq!(
        fixture.json(),
        &json!({
            "apiVersion": "external-secrets.io/v1",
            "kind": "ExternalSecret",
            "metadata": { "name": "db", "namespace": "team-a", "annotations": { "a": "1" } },
            "spec": {
                "refreshInterval": "1h0m0s",
                "target": { "name": "db" },
                "secretStoreRef": { "kind": "SecretStore", "name": "akeyless" },
                "data": [
                    { "secretKey": "value", "remoteRef": { "key": "/prod/db" } },
                    {
                        "secretKey": "value-2",
                        "remoteRef": { "key": "/prod/other" },
                        "sourceRef": { "storeRef": { "kind": "ClusterSecretStore", "name": "shared" } },
                    },
                ],
                "dataFrom": [
                    { "extract": { "key": "/prod/json" } },
                    {
                        "find": { "name": { "regexp": "^prod" } },
                        "sourceRef": { "storeRef": { "kind": "SecretStore", "name": "vault" } },
                    },
                ],
            },
        })
    );
}

/// One of every kind of fixture, for whichever API there is.
async fn create_one_of_each(client: &Client) {
    create_namespace(client, "team-a").await.unwrap();
    create_namespace(client, "team-a").await.unwrap();
    let stores = [
        store("akeyless").in_namespace("team-a").akeyless(),
        store("vault").in_namespace("team-a").vault(),
        store("fake")
            .in_namespace("team-a")
            .fake([("/prod/db", "s3cret")]),
        cluster_store("shared").akeyless(),
    ];
    create_all(client, stores, 4).await.unwrap();
    external_secret("db")
        .in_namespace("team-a")
        .from_store("akeyless")
        .key("/prod/db")
        .extract("/prod/json")
        .find_path("/prod")
        .source_ref("vault")
        .create(client)
        .await
        .unwrap();
    let many = (0..50).map(|n| {
        external_secret(&format!("es-{n}"))
            .in_namespace("team-a")
            .cluster_store("shared")
            .find_name("^prod")
    });
    create_all(client, many, 8).await.unwrap();

    annotate(client, "team-a", "db", "one").await.unwrap();
    assert_eq!(
        annotation(client, "team-a", "db").await.unwrap().as_deref(),
        Some("one")
    );
    assert_eq!(annotation(client, "team-a", "es-1").await.unwrap(), None);
    assert_eq!(annotation(client, "team-a", "absent").await.unwrap(), None);
    let all = objects(client, Kind::ExternalSecret, Some("team-a"));
    assert_eq!(
        all.list(&kube::api::ListParams::default())
            .await
            .unwrap()
            .items
            .len(),
        51
    );
}

#[tokio::test]
async fn the_stand_in_takes_every_fixture() {
    let api = StandIn::start().await.unwrap();
    create_one_of_each(&api.client()).await;
}

#[tokio::test]
async fn an_object_needs_its_namespace() {
    let api = StandIn::start().await.unwrap();
    let orphan = external_secret("late").in_namespace("none");
    let refused = orphan.create(&api.client()).await.unwrap_err().to_string();
    assert!(
        refused.contains("namespaces \"none\" not found"),
        "{refused}"
    );
}
