//! Many workloads of one secret.

use std::time::Duration;

use eso_relay_lab::{
    cluster::{Kind, create_all, objects},
    installation::{Cluster, READY},
    wait,
    workloads::{Controllers, RESTARTS, Workload, template_of},
};
use kube::{
    ResourceExt,
    api::{DynamicObject, ListParams},
};

use super::{SETTINGS, of};
use crate::consuming::{Consuming, TEAM, drained, names};

const WORKLOADS: usize = 500;
/// The default of `restart.concurrency`.
const WINDOW: usize = 4;

async fn all(relay: &Consuming) -> Vec<DynamicObject> {
    let api = objects(relay.cluster.client(), Kind::Deployment, Some(TEAM));
    api.list(&ListParams::default()).await.unwrap().items
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_readers_of_one_secret_stay_within_the_window() {
    let relay = of(Cluster::stand_in("east").await.unwrap(), &["db"]).await;
    let client = relay.cluster.client();
    let slow = Controllers::builder().delay(Duration::from_millis(20));
    let controllers = slow.start(client);
    let names = names("web", WORKLOADS);
    let readers = names.iter().map(|name| {
        let web = Workload::deployment(TEAM, name).reads_secret("db");
        web.restart()
    });
    create_all(client, readers, 16).await.unwrap();
    wait::until("all to be rolled out", READY, async || {
        let mut all = all(&relay).await.into_iter();
        let available = |web: DynamicObject| web.data["status"]["availableReplicas"] == 2;
        all.all(available).then_some(())
    })
    .await
    .unwrap();
    let _consumer = relay.consumer(SETTINGS).await;
    relay.publish(&["/prod/db"]).await;
    drained(&relay.jetstream, "east", 2 * READY).await;
    let all = all(&relay).await;
    assert_eq!(all.len(), WORKLOADS);
    for web in all {
        let count = template_of(&web).remove(RESTARTS);
        assert_eq!(count.as_deref(), Some("1"), "{}", web.name_any());
    }
    let most = controllers.most_at_once();
    assert!(most <= WINDOW, "{most} at once");
}
