//! deploy/kubernetes/restart*.yaml: they permit restarts and nothing else.

use eso_relay_lab::{
    cluster::{Kind, objects as api},
    installation::{Cluster, READY},
    wait,
    workloads::{Controllers, RESTARTED_FOR, RESTARTS, Workload, marks, serve_rollouts},
};
use kube::{
    Client,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{ACCOUNT, apply, cluster, discover, objects};
use crate::consuming::{Consuming, drained, synced};

const VAULT: &str = "secrets-reloader.security.bank-vaults.io/secret-reload-count";
const BANZAI: &str = "alpha.vault.security.banzaicloud.io/secret-reload-count";
const ONE: &str = "0123456789abcdef0123";
const TWO: &str = "00000000000000000002";
const APPS: [Kind; 3] = [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet];

/// A cluster with these manifests, and the client of the consumer's service account.
async fn permitted_by(files: &[&str]) -> Option<(Cluster, Client)> {
    let east = cluster().await?;
    serve_rollouts(&east).await.unwrap();
    let discovery = discover(east.client()).await;
    for object in files.iter().flat_map(|file| objects(file)) {
        apply(east.client(), &discovery, &object, false).await;
    }
    let account = east.as_real().unwrap().client_as(ACCOUNT).await.unwrap();
    Some((east, account))
}

/// What the API says to a merge patch: nothing, or why not.
async fn patch(client: &Client, kind: Kind, name: &str, change: &Value) -> Result<(), String> {
    patch_in(client, kind, "team-a", name, change, false).await
}

async fn patch_in(
    client: &Client,
    kind: Kind,
    namespace: &str,
    name: &str,
    change: &Value,
    dry_run: bool,
) -> Result<(), String> {
    let api = api(client, kind, Some(namespace));
    let params = PatchParams {
        field_manager: Some("eso-relay".to_owned()),
        dry_run,
        ..PatchParams::default()
    };
    match api.patch(name, &params, &Patch::Merge(change)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 403 => Err(status.message),
        Err(error) => panic!("{kind:?} {name}: {error}"),
    }
}

/// The restart of an `apps` workload, as the consumer patches it.
fn restarted(counter: &str, marks: &str, count: &str) -> Value {
    let annotations = json!({ RESTARTED_FOR: marks, counter: count });
    json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } })
}

/// That of a Rollout.
fn rolled_out(marks: &str, count: &str) -> Value {
    json!({
        "metadata": { "annotations": { RESTARTED_FOR: marks, RESTARTS: count } },
        "spec": { "restartAt": format!("2026-01-01T00:00:0{count}Z") },
    })
}

fn template(metadata: &Value) -> Value {
    json!({ "spec": { "template": { "metadata": metadata } } })
}

/// The API server learns of a policy a moment after it is stored.
async fn in_force(account: &Client, kind: Kind, namespace: &str, name: &str) {
    let forbidden = json!({ "metadata": { "labels": { "probe": "1" } } });
    wait::until_ok("the policy to be in force", READY, || async {
        match patch_in(account, kind, namespace, name, &forbidden, true).await {
            Err(why) if why.contains("eso-relay may") => Ok(()),
            other => Err(other),
        }
    })
    .await
    .unwrap();
}

/// Each change is refused with the rule's words, and leaves the object as it was.
async fn refused(
    east: &Cluster,
    account: &Client,
    kind: Kind,
    name: &str,
    cases: &[(Value, &str)],
) {
    let version = async || {
        let object = api(east.client(), kind, Some("team-a")).get(name).await;
        object.unwrap().metadata.resource_version
    };
    let before = version().await;
    for (change, rule) in cases {
        let why = patch(account, kind, name, change).await.unwrap_err();
        assert!(why.contains(rule), "{kind:?} {name} {change}: {why}");
    }
    assert_eq!(version().await, before, "{kind:?} {name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_may_restart_and_nothing_else() {
    let files = ["restart-policy.yaml", "restart.yaml"];
    let Some((east, account)) = permitted_by(&files).await else {
        return;
    };
    let spec = |field: &str, value: Value| json!({ "spec": { field: value } });
    let of_template = |spec: Value| json!({ "spec": { "template": { "spec": spec } } });
    for kind in APPS {
        let bare = Workload::of(kind, "team-a", "bare").reads_secret("db");
        bare.create(east.client()).await.unwrap();
        let annotated = Workload::of(kind, "team-a", "annotated").annotated("own", "1");
        let annotated = annotated.template_annotated("theirs", "1").restart();
        annotated.create(east.client()).await.unwrap();
        in_force(&account, kind, "team-a", "bare").await;

        for (name, counter) in [("bare", RESTARTS), ("annotated", VAULT)] {
            for (marks, count) in [(ONE, "1"), (&format!("{ONE},{TWO}"), "2")] {
                let change = restarted(counter, marks, count);
                patch(&account, kind, name, &change).await.unwrap();
            }
            let carried = marks(east.client(), kind, "team-a", name).await.unwrap();
            assert_eq!(carried[counter], "2", "{kind:?} {name}");
        }
        patch(&account, kind, "bare", &restarted(BANZAI, TWO, "3"))
            .await
            .unwrap();

        let image = json!({ "containers": [{ "name": "app", "image": "app:2" }] });
        let metadata = "may not change the metadata of a workload";
        let own = "may not change the annotations of a workload itself";
        let rest = "may not change the spec of a workload";
        let pod = "may not change the pod template of a workload";
        let template_metadata = "may not change the metadata of a pod template";
        let mark = "may change no annotation of a pod template but its marks";
        let of_object = |metadata: Value| json!({ "metadata": metadata });
        let annotated = |annotations: Value| json!({ "annotations": annotations });
        let owner = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b" });
        let mut cases = vec![
            (of_template(image), pod),
            (of_template(json!({ "serviceAccountName": "admin" })), pod),
            (spec("minReadySeconds", json!(5)), rest),
            (of_object(json!({ "labels": { "a": "b" } })), metadata),
            (of_object(json!({ "finalizers": ["a.b/c"] })), metadata),
            (of_object(json!({ "ownerReferences": [owner] })), metadata),
            (of_object(annotated(json!({ "own": "2" }))), own),
            (of_object(annotated(json!({ RESTARTS: "2" }))), own),
            (of_object(annotated(Value::Null)), own),
            (
                template(&json!({ "labels": { "more": "1" } })),
                template_metadata,
            ),
            (template(&annotated(json!({ "theirs": "2" }))), mark),
            (template(&annotated(json!({ "other": "1" }))), mark),
            (template(&annotated(json!({ "theirs": null }))), mark),
            (template(&annotated(Value::Null)), mark),
            (restarted(RESTARTS, "no fingerprint", "1"), mark),
            (restarted(RESTARTS, ONE, "many"), mark),
        ];
        if kind != Kind::DaemonSet {
            cases.push((spec("replicas", json!(0)), rest));
            // The server writes it on a DaemonSet alone.
            let generation = json!({ "deprecated.daemonset.template.generation": "9" });
            cases.push((of_object(annotated(generation)), own));
        }
        refused(&east, &account, kind, "annotated", &cases).await;
        // What goes beside a restart is refused with it.
        let mut both = restarted(RESTARTS, ONE, "9");
        both["spec"]["template"]["spec"] = json!({ "hostNetwork": true });
        refused(&east, &account, kind, "bare", &[(both, pod)]).await;
        // Where there is none yet.
        let first = template(&annotated(json!({ "other": "1" })));
        refused(&east, &account, kind, "bare", &[(first, mark)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_may_restart_a_rollout_and_nothing_else() {
    let files = ["restart-policy.yaml", "restart.yaml"];
    let Some((east, account)) = permitted_by(&files).await else {
        return;
    };
    let kind = Kind::Rollout;
    let bare = Workload::rollout("team-a", "bare").reads_secret("db");
    bare.create(east.client()).await.unwrap();
    let annotated = Workload::rollout("team-a", "annotated").annotated("own", "1");
    annotated.create(east.client()).await.unwrap();
    in_force(&account, kind, "team-a", "bare").await;
    for name in ["bare", "annotated"] {
        for (marks, count) in [(ONE, "1"), (TWO, "2")] {
            patch(&account, kind, name, &rolled_out(marks, count))
                .await
                .unwrap();
        }
        let carried = marks(east.client(), kind, "team-a", name).await.unwrap();
        assert_eq!(carried[RESTARTS], "2", "{name}");
    }
    let (metadata, annotation, spec) = (
        "may not change the metadata of a Rollout",
        "may change no annotation of a Rollout but its marks",
        "may change nothing of the spec of a Rollout but restartAt",
    );
    let image = json!({ "spec": { "containers": [{ "name": "app", "image": "app:2" }] } });
    let mark = json!({ "metadata": { "annotations": { RESTARTS: "1" } } });
    let cases = [
        (json!({ "spec": { "template": image } }), spec),
        (json!({ "spec": { "template": mark } }), spec),
        (json!({ "spec": { "replicas": 0 } }), spec),
        (json!({ "spec": { "paused": true } }), spec),
        (json!({ "spec": null }), spec),
        (json!({ "metadata": { "labels": { "a": "b" } } }), metadata),
        (
            json!({ "metadata": { "annotations": { "own": "2" } } }),
            annotation,
        ),
        (
            json!({ "metadata": { "annotations": { "other": "2" } } }),
            annotation,
        ),
        (json!({ "metadata": { "annotations": null } }), annotation),
        (
            json!({ "metadata": { "annotations": { RESTARTS: "many" } } }),
            annotation,
        ),
    ];
    refused(&east, &account, kind, "annotated", &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_is_not_touched() {
    let files = ["restart-policy.yaml", "restart.yaml"];
    let Some((east, account)) = permitted_by(&files).await else {
        return;
    };
    let web = Workload::deployment("team-a", "web");
    web.create(east.client()).await.unwrap();
    Workload::rollout("team-a", "web")
        .create(east.client())
        .await
        .unwrap();
    in_force(&account, Kind::Deployment, "team-a", "web").await;
    in_force(&account, Kind::Rollout, "team-a", "web").await;

    // A user with the same rights, and one with all.
    let mut binding = objects("restart.yaml").pop().unwrap();
    binding["metadata"]["name"] = "deployer".into();
    binding["subjects"] = json!([{
        "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "deployer",
    }]);
    let discovery = discover(east.client()).await;
    apply(east.client(), &discovery, &binding, false).await;
    let deployer = east.as_real().unwrap().client_as("deployer").await.unwrap();
    let labelled = json!({ "metadata": { "labels": { "a": "b" } } });
    for (user, tag) in [(&deployer, "app:2"), (east.client(), "app:3")] {
        let container = json!({ "name": "app", "image": tag });
        let change = json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
        for kind in [Kind::Deployment, Kind::Rollout] {
            patch(user, kind, "web", &change).await.unwrap();
            let why = patch(&account, kind, "web", &labelled).await.unwrap_err();
            assert!(why.contains("eso-relay may not"), "{why}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_role_a_restart_is_forbidden() {
    let files = ["restart-policy.yaml", "consumer.yaml"];
    let Some((east, account)) = permitted_by(&files).await else {
        return;
    };
    for kind in [Kind::Deployment, Kind::Rollout] {
        let web = Workload::of(kind, "team-a", "web");
        web.create(east.client()).await.unwrap();
        let restart = match kind {
            Kind::Rollout => rolled_out(ONE, "1"),
            _ => restarted(RESTARTS, ONE, "1"),
        };
        let why = patch(&account, kind, "web", &restart).await.unwrap_err();
        assert!(why.contains("cannot patch resource"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_restarts_in_one_namespace() {
    let files = ["restart-policy.yaml", "restart-namespaced.yaml"];
    let Some((east, account)) = permitted_by(&files).await else {
        return;
    };
    for namespace in ["team-a", "team-b"] {
        for kind in [Kind::StatefulSet, Kind::Rollout] {
            let web = Workload::of(kind, namespace, "web");
            web.create(east.client()).await.unwrap();
        }
    }
    for (kind, restart) in [
        (Kind::StatefulSet, restarted(RESTARTS, ONE, "1")),
        (Kind::Rollout, rolled_out(ONE, "1")),
    ] {
        in_force(&account, kind, "team-a", "web").await;
        patch(&account, kind, "web", &restart).await.unwrap();
        let scaled = json!({ "spec": { "replicas": 0 } });
        let why = patch(&account, kind, "web", &scaled).await.unwrap_err();
        assert!(why.contains("eso-relay may"), "{why}");
        let elsewhere = patch_in(&account, kind, "team-b", "web", &restart, false).await;
        let why = elsewhere.unwrap_err();
        assert!(why.contains("cannot patch resource"), "{why}");
        // What the watch needs, there and not elsewhere.
        let list = async |namespace| {
            let list = api(&account, kind, namespace);
            list.list(&ListParams::default()).await.is_ok()
        };
        assert!(list(Some("team-a")).await && !list(Some("team-b")).await && !list(None).await);
    }
}

/// The consumer itself, with the roles and under the policy.
#[tokio::test(flavor = "multi_thread")]
async fn the_consumer_restarts_under_the_policy() {
    let files = ["consumer.yaml", "restart-policy.yaml", "restart.yaml"];
    let Some((east, account)) = permitted_by(&files).await else {
        return;
    };
    let relay = Consuming::on(east, &["db"]).await;
    let client = relay.cluster.client();
    synced(client, "team-a", "db").await;
    let controllers = Controllers::builder().with_rollouts();
    let _controllers = controllers.start(client);
    let kinds = [&APPS[..], &[Kind::Rollout]].concat();
    for kind in &kinds {
        let web = Workload::of(*kind, "team-a", "web").reads_secret("db");
        web.restart().create(client).await.unwrap();
    }
    in_force(&account, Kind::Deployment, "team-a", "web").await;
    in_force(&account, Kind::Rollout, "team-a", "web").await;
    let config = "restart: { enabled: true, gather: 1s }";
    let consumer = relay.cluster.consumer(&relay.hub, config);
    let kubeconfig = relay.cluster.kubeconfig_as(ACCOUNT).unwrap();
    let mut consumer = consumer.kubeconfig(&kubeconfig).start().await.unwrap();
    consumer.wait_ready(READY).await.unwrap();
    relay.publish(&["/prod/db"]).await;
    drained(&relay.jetstream, "east", READY).await;
    for kind in kinds {
        let carried = marks(client, kind, "team-a", "web").await.unwrap();
        assert_eq!(carried[RESTARTS], "1", "{kind:?}");
    }
    let log = consumer.logs();
    assert!(!log.contains("not permitted"), "{log}");
}
