//! The role for kubernetes-external-secrets.

use eso_relay_lab::{
    cluster::secret_value,
    installation::{Hub, READY, Webhooks},
    kes::{Kes, kes_external_secret, serve_kes},
    wait,
};
use serde_json::json;

use super::{ACCOUNT, RBAC, apply, cluster, discover, objects};

#[tokio::test(flavor = "multi_thread")]
async fn the_role_for_kes_is_enough() {
    let Some(east) = cluster().await else { return };
    serve_kes(&east).await.unwrap();
    let discovery = discover(east.client()).await;
    let rights = ["consumer.yaml", "kes.yaml"].map(objects).into_iter();
    for object in rights.flatten().filter(|it| it["apiVersion"] == RBAC) {
        apply(east.client(), &discovery, &object, false).await;
    }
    east.values.set("/prod/db", "old");
    let _kes = Kes::builder().start(east.client(), &east.values);
    let db = kes_external_secret("team-a", "db", "akeyless", "/prod/db", &json!({}));
    db.create(east.client()).await.unwrap();

    let hub = Hub::start().await.unwrap();
    hub.init(&["east"]).await.unwrap();
    let mut ingress = hub.ingress().start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let kubeconfig = east.as_real().unwrap().kubeconfig_as(ACCOUNT).unwrap();
    let consumer = east.consumer(&hub, "kes: { enabled: true }");
    let mut consumer = consumer.kubeconfig(&kubeconfig).start().await.unwrap();
    consumer.wait_ready(READY).await.unwrap();
    east.values.set("/prod/db", "new");
    let webhooks = Webhooks::to(&ingress.url());
    webhooks.updated(&["/prod/db"]).await.unwrap();
    wait::until("the new value in the Secret", READY, || async {
        let value = secret_value(east.client(), "team-a", "db", "value").await;
        (value.unwrap().as_deref() == Some("new")).then_some(())
    })
    .await
    .unwrap();
    assert!(
        !consumer.logs().contains("no permission"),
        "{}",
        consumer.logs()
    );
}
