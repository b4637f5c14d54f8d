//! The main job: a webhook becomes a patched ExternalSecret.

use std::time::Duration;

use eso_relay_lab::{
    cluster::{create_namespace, external_secret, store},
    installation::{Cluster, Installation},
};

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
    let east = installation.clusters[0]
        .refreshed("team-a", "db", None)
        .await
        .unwrap();
    let west = installation.clusters[1]
        .refreshed("team-a", "db", None)
        .await
        .unwrap();
    assert_eq!(east, west, "the value derives from the event");
    for consumer in &mut installation.consumers {
        consumer.terminate().unwrap();
        let status = consumer.wait_exit(Duration::from_secs(20)).await.unwrap();
        assert!(status.success(), "{status} {}", consumer.logs());
    }
}
