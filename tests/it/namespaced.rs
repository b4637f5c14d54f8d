//! A consumer with rights in one namespace and none in the cluster.

use std::path::Path;

use eso_relay_lab::{
    cluster::{apply, cluster_store, create_namespace, external_secret},
    installation::{Cluster, READY},
    standin::On,
};

use crate::consuming::{Consuming, TEAM};

const USER: &str = "system:serviceaccount:eso-relay:eso-relay-consumer";

/// As `deploy/kubernetes/consumer-namespaced.yaml` has it: on a real API by applying just that.
async fn allow_one_namespace(cluster: &Cluster) {
    if let Some(stand_in) = cluster.as_stand_in() {
        let by_user = || On::any().by_token(USER);
        stand_in.faults().deny(by_user().across_namespaces());
        stand_in.faults().deny(by_user().in_namespace("team-b"));
    } else {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let manifest = root.join("deploy/kubernetes/consumer-namespaced.yaml");
        apply(cluster.client(), &manifest).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_in_one_namespace_is_enough_to_work_there() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    let client = relay.cluster.client();
    cluster_store("shared")
        .akeyless()
        .create(client)
        .await
        .unwrap();
    create_namespace(client, "team-b").await.unwrap();
    for (name, namespace) in [("through-shared", TEAM), ("db", "team-b")] {
        let object = external_secret(name)
            .in_namespace(namespace)
            .cluster_store("shared");
        object.key("/prod/db").create(client).await.unwrap();
    }
    allow_one_namespace(&relay.cluster).await;

    let kubeconfig = relay.cluster.kubeconfig_as(USER).unwrap();
    let options = relay.options("kubernetes: { namespaces: [team-a] }");
    let mut consumer = options.kubeconfig(&kubeconfig).start().await.unwrap();
    consumer.wait_ready(READY).await.unwrap();
    let log = consumer.logs();
    assert!(
        log.contains("no permission to list clustersecretstores"),
        "{log}"
    );
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &values[0]).await;
    relay.carries("through-shared", &values[0]).await;
    relay.drained().await;
    assert_eq!(relay.cluster.refresh_of("team-b", "db").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rights_everywhere_readyz_says_what_is_missing() {
    let cluster = Cluster::start("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db"]).await;
    allow_one_namespace(&relay.cluster).await;
    let kubeconfig = relay.cluster.kubeconfig_as(USER).unwrap();
    let consumer = relay
        .options("")
        .kubeconfig(&kubeconfig)
        .start()
        .await
        .unwrap();
    eso_relay_lab::wait::until("/readyz to name the list", READY, || async {
        let (_, text) = consumer.readyz().await.unwrap();
        text.contains("[-]kubernetes cannot list ExternalSecrets in all namespaces")
            .then_some(())
    })
    .await
    .unwrap();
}
