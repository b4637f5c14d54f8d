//! The main job: a webhook becomes a patched ExternalSecret.

use std::time::Duration;

use eso_relay_lab::{
    cluster::{annotation, create_namespace, external_secret, store},
    installation::{Cluster, Installation, READY},
    wait,
};

/// Waits until the object carries a refresh other than `before`, and says which.
pub(crate) async fn refreshed(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    before: Option<&str>,
) -> String {
    let what = format!("a refresh of {namespace}/{name} in {}", cluster.name());
    wait::until(what, READY, || async {
        let value = annotation(cluster.client(), namespace, name)
            .await
            .ok()
            .flatten();
        value.filter(|value| Some(value.as_str()) != before)
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_becomes_a_patch_in_two_clusters() {
    let clusters = vec![
        Cluster::start("east").await.unwrap(),
        Cluster::start("west").await.unwrap(),
    ];
    for cluster in &clusters {
        create_namespace(cluster.client(), "team-a").await.unwrap();
        store("akeyless")
            .in_namespace("team-a")
            .akeyless()
            .create(cluster.client())
            .await
            .unwrap();
        let db = external_secret("db")
            .in_namespace("team-a")
            .from_store("akeyless")
            .key("/prod/db");
        db.create(cluster.client()).await.unwrap();
        cluster.values.set("/prod/db", "old");
    }
    let mut installation = Installation::start(clusters).await.unwrap();
    let answer = installation.webhooks().updated(&["prod/db"]).await.unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.accepted().len(), 1);
    let east = refreshed(&installation.clusters[0], "team-a", "db", None).await;
    let west = refreshed(&installation.clusters[1], "team-a", "db", None).await;
    assert_eq!(east, west, "the value derives from the event");
    for consumer in &mut installation.consumers {
        consumer.terminate().unwrap();
        let status = consumer.wait_exit(Duration::from_secs(20)).await.unwrap();
        assert!(status.success(), "{status} {}", consumer.logs());
    }
}
