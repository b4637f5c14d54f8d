//! Against the API of the lab.

use super::*;
use crate::{
    cluster::{create_namespace, objects},
    installation::READY,
    standin::StandIn,
    wait,
};

async fn fixture(more: &Value) -> (StandIn, SecretValues) {
    let api = StandIn::start().await.unwrap();
    api.serve_kes();
    create_namespace(&api.client(), "team").await.unwrap();
    let values = SecretValues::default();
    values.set("db", "old");
    let object = kes_external_secret("team", "db", "vault", "db", more);
    object.create(&api.client()).await.unwrap();
    (api, values)
}

async fn status(api: &StandIn) -> Value {
    let all = objects(&api.client(), Kind::KesExternalSecret, Some("team"));
    all.get("db").await.unwrap().data["status"].take()
}

#[tokio::test]
async fn a_new_object_is_polled_once() {
    let (api, values) = fixture(&json!({})).await;
    let kes = Kes::builder().start(&api.client(), &values);
    wait::until("the first poll", READY, || async {
        (status(&api).await["status"] == "SUCCESS").then_some(())
    })
    .await
    .unwrap();
    assert_eq!(kes.polls("team", "db"), 1);
    assert_eq!(status(&api).await["observedGeneration"], 1);
}

#[tokio::test]
async fn an_interval_polls_again() {
    let (api, values) = fixture(&json!({})).await;
    let every = Kes::builder().interval(Duration::from_millis(20));
    let kes = every.start(&api.client(), &values);
    wait::until("five polls", READY, || async {
        (kes.polls("team", "db") >= 5).then_some(())
    })
    .await
    .unwrap();
}
