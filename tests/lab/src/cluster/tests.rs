use super::*;
use crate::standin::StandIn;

#[tokio::test]
async fn the_stand_in_takes_every_fixture() {
    let api = StandIn::start().await.unwrap();
    let client = &api.client();
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
async fn an_object_needs_its_namespace() {
    let api = StandIn::start().await.unwrap();
    let orphan = external_secret("late").in_namespace("none");
    let refused = orphan.create(&api.client()).await.unwrap_err().to_string();
    assert!(
        refused.contains("namespaces \"none\" not found"),
        "{refused}"
    );
}
