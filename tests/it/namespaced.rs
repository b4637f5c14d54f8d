//! A consumer with rights in one namespace and none in the cluster.

use std::path::Path;

use eso_relay_lab::{
    cluster::{apply, cluster_store, create_namespace, external_secret, store},
    daemon::Daemon,
    installation::{Cluster, READY},
    standin::On,
    wait,
};

use crate::consuming::{CONSUMER, Consuming, TEAM};

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
    let said = "no permission to list clustersecretstores";
    consumer.wait_log(said, READY).await.unwrap();
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
    wait::until("/readyz to name the list", READY, || async {
        let (_, text) = consumer.readyz().await.unwrap();
        text.contains("[-]kubernetes cannot list ExternalSecrets in all namespaces")
            .then_some(())
    })
    .await
    .unwrap();
}

/// Until `/readyz` says it.
async fn readyz_says(consumer: &Daemon, said: &str) {
    let what = format!("/readyz to say {said:?}");
    wait::until_ok(what, READY, || async {
        let (_, text) = consumer.readyz().await.unwrap();
        text.contains(said).then_some(()).ok_or(text)
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_namespace_delays_no_other() {
    const CLOSED: &str = "[-]kubernetes no permission to list externalsecrets in team-b, \
                          secretstores in team-b; all else is served";
    let cluster = Cluster::stand_in("east").await.unwrap();
    let relay = Consuming::on(cluster, &["db", "web"]).await;
    let client = relay.cluster.client();
    create_namespace(client, "team-b").await.unwrap();
    store("akeyless")
        .in_namespace("team-b")
        .akeyless()
        .create(client)
        .await
        .unwrap();
    let other = external_secret("other").in_namespace("team-b");
    let other = other.from_store("akeyless").key("/prod/db");
    other.create(client).await.unwrap();
    let faults = relay.stand_in().faults();
    let of_b = || On::any().by_token(CONSUMER).in_namespace("team-b");
    let other = || relay.cluster.refresh_of("team-b", "other");

    // From the start.
    let denied = faults.deny(of_b());
    let options = relay.options("kubernetes: { namespaces: [team-a, team-b] }");
    let mut consumer = options.start().await.unwrap();
    readyz_says(&consumer, CLOSED).await;
    let values = relay.publish(&["/prod/db"]).await;
    relay.carries("db", &values[0]).await;
    relay.drained().await;
    assert_eq!(other().await, None);

    // What it missed is made up for.
    faults.lift(denied);
    consumer.wait_ready(READY).await.unwrap();
    let made_up = wait::until("team-b to be refreshed", READY, other)
        .await
        .unwrap();

    // Later.
    let denied = faults.deny(of_b());
    relay.stand_in().close_watches();
    readyz_says(&consumer, CLOSED).await;
    let values = relay.publish(&["/prod/web"]).await;
    relay.carries("web", &values[0]).await;
    relay.drained().await;
    faults.lift(denied);
    consumer.wait_ready(READY).await.unwrap();
    wait::until("team-b to be refreshed again", READY, || async {
        other().await.filter(|value| *value != made_up)
    })
    .await
    .unwrap();
}
