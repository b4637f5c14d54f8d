use std::time::Duration;

use kube::ResourceExt;

use super::{Eso, SecretValues, synced_resource_version};
use crate::{
    cluster::{Kind, annotate, external_secret, get, objects},
    standin::StandIn,
};

/// Waits until it holds.
async fn until(condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .expect("in time");
}

#[tokio::test]
async fn a_patched_annotation_brings_the_new_value_and_the_hash_that_a_reader_computes() {
    let api = StandIn::start().await.unwrap();
    api.load([external_secret("db").in_namespace("team-a").key("/prod/db")]);
    let (client, values) = (api.client(), SecretValues::default());
    values.set("/prod/db", "old");
    let eso = Eso::builder().start(&client, &values);
    let holds = |value: &'static str| {
        let eso = &eso;
        async move || {
            eso.values("team-a", "db")
                .is_some_and(|got| got["value"] == value)
        }
    };
    until(holds("old")).await;

    values.set("/prod/db", "new");
    annotate(&client, "team-a", "db", "event-1").await.unwrap();
    until(holds("new")).await;
    let synced = async || {
        let object = get(&client, "team-a", "db").await.unwrap().unwrap();
        let status = &object.data["status"];
        status["conditions"][0]["status"] == "True"
            && status["syncedResourceVersion"] == synced_resource_version(&object.metadata)
    };
    until(synced).await;
    let secret = objects(&client, Kind::Secret, Some("team-a"))
        .get("db")
        .await
        .unwrap();
    assert_eq!(secret.data["data"]["value"], "bmV3");
    assert_eq!(eso.syncs("team-a", "db"), 2);
}

#[tokio::test]
async fn created_once_and_interval_zero_stay_as_they_are() {
    let api = StandIn::start().await.unwrap();
    api.load([
        external_secret("once")
            .key("k")
            .refresh_policy("CreatedOnce"),
        external_secret("zero").key("k").refresh_interval("0s"),
        external_secret("zero-on-change")
            .key("k")
            .refresh_interval("0s")
            .refresh_policy("OnChange"),
    ]);
    let (client, values) = (api.client(), SecretValues::default());
    values.set("k", "v");
    let eso = Eso::builder()
        .workers(3)
        .without_secrets()
        .start(&client, &values);
    let names = ["once", "zero", "zero-on-change"];
    until(async || names.iter().all(|name| eso.syncs("default", name) == 1)).await;
    for name in names {
        annotate(&client, "default", name, "event-1").await.unwrap();
    }
    // The one patched last is through: the others, patched before it, have been passed over.
    until(async || eso.syncs("default", "zero-on-change") == 2).await;
    assert_eq!(
        (eso.syncs("default", "once"), eso.syncs("default", "zero")),
        (1, 1)
    );
}

#[tokio::test]
async fn a_missing_value_is_said_once_and_found_after_the_next_patch() {
    let api = StandIn::start().await.unwrap();
    api.load([external_secret("all")
        .extract("/json")
        .find_path("/prod/")
        .find_name("^/dev")]);
    let (client, values) = (api.client(), SecretValues::default());
    let eso = Eso::builder().start(&client, &values);
    let failed = async || {
        let object = get(&client, "default", "all").await.unwrap().unwrap();
        object.data["status"]["conditions"][0]["reason"] == "SecretSyncedError"
    };
    until(failed).await;
    let version = get(&client, "default", "all")
        .await
        .unwrap()
        .unwrap()
        .resource_version();
    assert!(eso.values("default", "all").is_none());

    values.set("/json", r#"{"user":"u","port":1}"#);
    values.set("/prod/a", "1");
    values.set("/dev/b", "2");
    assert_eq!(
        get(&client, "default", "all")
            .await
            .unwrap()
            .unwrap()
            .resource_version(),
        version
    );
    annotate(&client, "default", "all", "event-1")
        .await
        .unwrap();
    until(async || eso.values("default", "all").is_some()).await;
    let got: Vec<_> = eso.values("default", "all").unwrap().into_iter().collect();
    let expected = [
        ("dev_b", "2"),
        ("port", "1"),
        ("prod_a", "1"),
        ("user", "u"),
    ];
    assert_eq!(
        got,
        expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
    );
}
