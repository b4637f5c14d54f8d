//! Objects whose patches always fail: they delay no other, and stop no pulling.

use std::net::TcpListener;

use eso_relay_lab::{
    cluster::{create_all, create_namespace, external_secret, store},
    daemon::Daemon,
    installation::{Cluster, READY},
    standin::{Effect, On, Times, Verb},
    wait,
};
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, PostParams},
    core::GroupVersionKind,
};
use reqwest::StatusCode;
use serde_json::json;

use crate::consuming::{CONSUMER, Consuming, names};

/// Beside [`crate::consuming::TEAM`]: every patch of what is in it fails.
const BROKEN: &str = "team-b";
/// More than make the API count as suspicious.
const FAULTS: u64 = 5;

/// A relay with `db` and with objects in [`BROKEN`] that all read `/prod/broken`.
async fn relay(cluster: Cluster, broken: usize) -> Consuming {
    let relay = Consuming::on(cluster, &["db"]).await;
    let client = relay.cluster.client();
    create_namespace(client, BROKEN).await.unwrap();
    let akeyless = store("akeyless").in_namespace(BROKEN).akeyless();
    akeyless.create(client).await.unwrap();
    let objects = names("broken", broken).into_iter().map(|name| {
        external_secret(&name)
            .in_namespace(BROKEN)
            .from_store("akeyless")
            .key("/prod/broken")
    });
    create_all(client, objects, 8).await.unwrap();
    relay
}

async fn faults(consumer: &Daemon) -> u64 {
    let mut all = 0;
    for result in ["cluster_fault", "target_fault"] {
        let name = "eso_relay_consumer_patches_total";
        all += consumer.count(name, &[("result", result)]).await.unwrap();
    }
    all
}

/// The broken fail again and again, and the others of the cluster are refreshed as ever.
async fn the_others_go_on(relay: &Consuming, consumer: &Daemon) {
    wait::until("patches to fail", READY, || async {
        relay.publish(&["/prod/broken"]).await;
        (faults(consumer).await >= FAULTS).then_some(())
    })
    .await
    .unwrap();
    for _ in 0..3 {
        let failed = faults(consumer).await;
        let values = relay.publish(&["/prod/db"]).await;
        relay.carries("db", &values[0]).await;
        let (status, text) = consumer.readyz().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{text}");
        wait::until("another patch to fail", READY, || async {
            (faults(consumer).await > failed).then_some(())
        })
        .await
        .unwrap();
    }
    let log = consumer.logs();
    assert!(!log.contains("the Kubernetes API does not answer"), "{log}");
}

async fn the_broken_are_patched(relay: &Consuming, broken: usize) {
    let values = relay.publish(&["/prod/broken"]).await;
    wait::until("the broken to be patched", READY, || async {
        for name in names("broken", broken) {
            let carried = relay.cluster.refresh_of(BROKEN, &name).await;
            if carried.as_ref() != Some(&values[0]) {
                return None;
            }
        }
        Some(())
    })
    .await
    .unwrap();
}

/// An API where every patch in the namespace meets this.
async fn on_the_stand_in(broken: usize, effect: Effect) {
    let relay = relay(Cluster::stand_in("east").await.unwrap(), broken).await;
    let consumer = relay.consumer("kubernetes: { patch_timeout: 1s }").await;
    let patches = On {
        verb: Some(Verb::Patch),
        ..On::any()
    };
    let patches = patches.in_namespace(BROKEN).by_token(CONSUMER);
    let faults = relay.stand_in().faults();
    let fault = faults.inject(patches, effect, Times::All);
    the_others_go_on(&relay, &consumer).await;
    faults.lift(fault);
    the_broken_are_patched(&relay, broken).await;
    assert_eq!(relay.dead_letters().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_that_always_answers_500_delays_no_other() {
    on_the_stand_in(1, Effect::status(StatusCode::INTERNAL_SERVER_ERROR)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_that_always_hangs_delays_no_other() {
    on_the_stand_in(1, Effect::Hang).await;
}

/// Many times as many as there are patches in flight.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_where_all_hang_delays_no_other() {
    on_the_stand_in(90, Effect::Hang).await;
}

/// The webhook of the namespace: the API server calls it, at this address, before every change.
async fn admit_by(cluster: &Cluster, address: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
    );
    let webhooks = Api::all_with(cluster.client().clone(), &ApiResource::from_gvk(&kind));
    let configuration = json!({
        "metadata": { "name": "broken" },
        "webhooks": [{
            "name": "broken.example.org",
            "clientConfig": { "url": format!("https://{address}/") },
            "failurePolicy": "Fail",
            "timeoutSeconds": 30,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": BROKEN } },
            "rules": [{
                "apiGroups": ["external-secrets.io"],
                "apiVersions": ["*"],
                "operations": ["UPDATE"],
                "resources": ["externalsecrets"],
            }],
        }],
    });
    let configuration = serde_json::from_value(configuration).unwrap();
    let params = PostParams::default();
    webhooks.create(&params, &configuration).await.unwrap();
    webhooks
}

/// Only a real API server calls webhooks.
async fn behind_a_webhook(address: &str) {
    let cluster = Cluster::start("east").await.unwrap();
    if cluster.as_stand_in().is_some() {
        return;
    }
    let relay = relay(cluster, 4).await;
    let consumer = relay.consumer("kubernetes: { patch_timeout: 1s }").await;
    let webhooks = admit_by(&relay.cluster, address).await;
    the_others_go_on(&relay, &consumer).await;
    let params = DeleteParams::default();
    webhooks.delete("broken", &params).await.unwrap();
    the_broken_are_patched(&relay, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_webhook_delays_no_other_namespace() {
    behind_a_webhook("127.0.0.1:1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_whose_admission_webhook_hangs_delays_no_other() {
    // Connections wait in its queue for ever.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    behind_a_webhook(&silent.local_addr().unwrap().to_string()).await;
}
