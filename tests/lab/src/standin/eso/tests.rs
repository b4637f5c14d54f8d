use std::time::Duration;

use kube::{
    Client, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::json;

use super::{Eso, SecretValues, synced_resource_version};
use crate::{
    cluster::{Fixture, Kind, REFRESH, annotate, external_secret, get, objects},
    standin::StandIn,
    wait,
};

async fn found(client: &Client, namespace: &str, name: &str) -> DynamicObject {
    get(client, namespace, name).await.unwrap().unwrap()
}

/// Waits until it holds.
async fn until(condition: impl AsyncFn() -> bool) {
    let holds = async || condition().await.then_some(());
    wait::until("it to hold", Duration::from_secs(20), holds)
        .await
        .unwrap();
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
        let object = found(&client, "team-a", "db").await;
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
        let object = found(&client, "default", "all").await;
        object.data["status"]["conditions"][0]["reason"] == "SecretSyncedError"
    };
    until(failed).await;
    let version = found(&client, "default", "all").await.resource_version();
    assert!(eso.values("default", "all").is_none());

    values.set("/json", r#"{"user":"u","port":1}"#);
    values.set("/prod/a", "1");
    values.set("/dev/b", "2");
    let unchanged = found(&client, "default", "all").await;
    assert_eq!(unchanged.resource_version(), version);
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

/// Children of one ClusterExternalSecret in so many namespaces, each synced with `old`.
async fn children(api: &StandIn, values: &SecretValues, count: usize) -> Eso {
    let client = api.client();
    values.set("k", "old");
    let namespaces: Vec<_> = (0..count).map(|at| format!("team-{at}")).collect();
    let made = namespaces.iter();
    api.load(made.map(|name| Fixture::namespace_named(name)));
    let spec = json!({
        "externalSecretSpec": Fixture::from(external_secret("db").key("k")).json()["spec"],
        "externalSecretName": "db",
        "namespaces": namespaces,
    });
    api.load([Fixture::new(
        Kind::ClusterExternalSecret,
        None,
        "owner",
        spec,
    )]);
    let eso = Eso::builder().delay(Duration::from_millis(20));
    let eso = eso.without_secrets().start(&client, values);
    until(async || namespaces.iter().all(|name| eso.syncs(name, "db") > 0)).await;
    let idle = async || {
        let mut all = Vec::new();
        for namespace in &namespaces {
            let child = found(&client, namespace, "db").await;
            let hash = synced_resource_version(&child.metadata);
            all.push(child.data["status"]["syncedResourceVersion"] == hash);
        }
        all.into_iter().all(|synced| synced)
    };
    until(idle).await;
    eso
}

async fn annotation_is_gone(api: &StandIn, namespace: &str) -> bool {
    let child = found(&api.client(), namespace, "db").await;
    !child.annotations().contains_key(REFRESH)
}

/// Whether a child has got a value that changed meanwhile.
fn is_new(eso: &Eso, namespace: &str) -> bool {
    eso.values(namespace, "db").unwrap()["value"] == "new"
}

#[tokio::test]
async fn the_annotation_of_a_child_is_taken_away_before_the_queue_comes_to_it() {
    let (api, values) = (StandIn::start().await.unwrap(), SecretValues::default());
    let eso = children(&api, &values, 6).await;
    let client = api.client();
    values.set("k", "new");
    for at in 0..6 {
        annotate(&client, &format!("team-{at}"), "db", "event-1")
            .await
            .unwrap();
    }
    for at in 0..6 {
        until(async || annotation_is_gone(&api, &format!("team-{at}")).await).await;
    }
    // What was not looked at is as before, and ESO has nothing to do.
    let left = (0..6)
        .filter(|at| !is_new(&eso, &format!("team-{at}")))
        .count();
    assert!(left >= 3, "{left}");
}

#[tokio::test]
async fn a_status_that_was_reset_makes_it_read_again_after_the_annotation_is_gone() {
    let (api, values) = (StandIn::start().await.unwrap(), SecretValues::default());
    let eso = children(&api, &values, 6).await;
    let client = api.client();
    values.set("k", "new");
    let reset = Patch::Merge(json!({ "status": { "syncedResourceVersion": "" } }));
    for at in 0..6 {
        let namespace = format!("team-{at}");
        let api = objects(&client, Kind::ExternalSecret, Some(&namespace));
        let params = PatchParams::default();
        api.patch_status("db", &params, &reset).await.unwrap();
        annotate(&client, &namespace, "db", "event-1")
            .await
            .unwrap();
    }
    until(async || (0..6).all(|at| is_new(&eso, &format!("team-{at}")))).await;
}
