//! `eso-relay replay`: one cluster refreshes once more.

use std::collections::BTreeMap;

use eso_relay_lab::installation::{Cluster, Installation, READY};

use crate::consuming::{TEAM, drained, fill};

const NAMES: [&str; 3] = ["db", "web", "idle"];

async fn refreshes(cluster: &Cluster) -> BTreeMap<&'static str, Option<String>> {
    let mut refreshes = BTreeMap::new();
    for name in NAMES {
        refreshes.insert(name, cluster.refresh_of(TEAM, name).await);
    }
    refreshes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_refreshes_one_cluster_once_for_each_key() {
    let mut clusters = Vec::new();
    for name in ["east", "west"] {
        let cluster = Cluster::start(name).await.unwrap();
        fill(&cluster, &NAMES).await;
        clusters.push(cluster);
    }
    let installation = Installation::start(clusters).await.unwrap();
    let [east, west] = &installation.clusters[..] else {
        unreachable!()
    };
    let jetstream = installation.hub.jetstream().await.unwrap();
    for items in [["prod/db"], ["prod/db"], ["prod/web"]] {
        let answer = installation.webhooks().updated(&items).await.unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
        drained(&jetstream, "east", READY).await;
        drained(&jetstream, "west", READY).await;
    }
    let (east_before, west_before) = (refreshes(east).await, refreshes(west).await);
    let done = "eso_relay_consumer_patches_total";
    let done = || async {
        installation.consumers[0]
            .count(done, &[("result", "done")])
            .await
            .unwrap()
    };
    assert_eq!(done().await, 3);

    let args = ["replay", "--cluster", "east", "--since", "1h", "--yes"];
    let output = installation.hub.cli(&args).await.unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    for name in ["db", "web"] {
        let before = east_before[name].as_deref();
        east.refreshed(TEAM, name, before).await.unwrap();
    }
    drained(&jetstream, "east", READY).await;
    drained(&jetstream, "west", READY).await;
    assert_eq!(done().await, 5, "one patch for each key");
    assert_eq!(refreshes(west).await, west_before);
    assert_eq!(refreshes(east).await["idle"], None);
}
