use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{Controllers, RESTARTS, Workload, marks, serve_rollouts};
use crate::{
    cluster::{Kind, create_namespace, objects},
    installation::{Cluster, READY},
    wait,
};

const KINDS: [Kind; 4] = [
    Kind::Deployment,
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::Rollout,
];

async fn cluster() -> Cluster {
    let east = Cluster::start("east").await.unwrap();
    create_namespace(east.client(), "team").await.unwrap();
    serve_rollouts(&east).await.unwrap();
    east
}

/// Waits until the status is so, and gives it.
async fn status(east: &Cluster, kind: Kind, name: &str, is: impl Fn(&Value) -> bool) -> Value {
    let api = objects(east.client(), kind, Some("team"));
    wait::until_ok(format!("the status of {name}"), READY, || async {
        let object = api.get(name).await.unwrap();
        let generation = object.metadata.generation.unwrap();
        let status = object.data["status"].clone();
        // Argo writes it as a text.
        let observed = status["observedGeneration"].to_string();
        let current = observed.trim_matches('"') == generation.to_string();
        if current && is(&status) {
            Ok(status)
        } else {
            Err(status)
        }
    })
    .await
    .unwrap()
}

fn is_done(status: &Value) -> bool {
    let [updated, available, all] = if status["desiredNumberScheduled"].is_u64() {
        [
            "updatedNumberScheduled",
            "numberAvailable",
            "desiredNumberScheduled",
        ]
    } else {
        ["updatedReplicas", "availableReplicas", "replicas"]
    };
    status[all].as_u64() > Some(0)
        && status[updated] == status[all]
        && status[available] == status[all]
}

/// As a person does with `kubectl rollout restart`.
async fn restart(east: &Cluster, kind: Kind, name: &str, times: &str) {
    let annotations = json!({ "metadata": { "annotations": { RESTARTS: times } } });
    let patch = match kind {
        Kind::Rollout => {
            let at = json!({ "restartAt": "2026-01-01T00:00:00Z" });
            json!({ "metadata": annotations["metadata"], "spec": at })
        }
        _ => json!({ "spec": { "template": annotations } }),
    };
    let api = objects(east.client(), kind, Some("team"));
    let patch = Patch::Merge(patch);
    api.patch(name, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// On whichever API there is.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_template_is_rolled_out() {
    let east = cluster().await;
    let delay = Duration::from_millis(100);
    let controllers = Controllers::builder().delay(delay).with_rollouts();
    let controllers = controllers.start(east.client());
    for kind in KINDS {
        let workload = Workload::of(kind, "team", "web");
        workload
            .reads_secret("db")
            .create(east.client())
            .await
            .unwrap();
        status(&east, kind, "web", is_done).await;
        assert_eq!(controllers.rollouts(kind, "team", "web"), 0);
        restart(&east, kind, "web", "1").await;
        status(&east, kind, "web", is_done).await;
        assert_eq!(controllers.rollouts(kind, "team", "web"), 1, "{kind:?}");
        if kind == Kind::Rollout {
            let restarted = |status: &Value| status["restartedAt"].is_string();
            status(&east, kind, "web", restarted).await;
        }
        let marks = marks(east.client(), kind, "team", "web").await.unwrap();
        assert_eq!(marks[RESTARTS], "1");
    }
    assert_eq!(controllers.most_at_once(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_fails_says_so() {
    let east = cluster().await;
    let _controllers = Controllers::builder().start(east.client());
    let web = Workload::deployment("team", "web").fails_to_restart();
    web.create(east.client()).await.unwrap();
    status(&east, Kind::Deployment, "web", is_done).await;
    restart(&east, Kind::Deployment, "web", "1").await;
    let failed = |status: &Value| status["conditions"][0]["status"] == "False";
    let status = status(&east, Kind::Deployment, "web", failed).await;
    let reason = &status["conditions"][0]["reason"];
    assert_eq!(reason, "ProgressDeadlineExceeded");
    assert!(!is_done(&status));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_rolled_out_while_paused_or_on_delete() {
    let east = cluster().await;
    let _controllers = Controllers::builder().start(east.client());
    let paused = Workload::deployment("team", "web").paused();
    paused.create(east.client()).await.unwrap();
    let on_delete = Workload::daemon_set("team", "agent").on_delete();
    on_delete.create(east.client()).await.unwrap();
    status(&east, Kind::DaemonSet, "agent", is_done).await;
    for (kind, name) in [(Kind::Deployment, "web"), (Kind::DaemonSet, "agent")] {
        restart(&east, kind, name, "1").await;
        let status = status(&east, kind, name, |_| true).await;
        assert!(!is_done(&status), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_version_is_a_conflict_and_the_spec_moves_the_generation() {
    let east = cluster().await;
    for kind in KINDS {
        let workload = Workload::of(kind, "team", "web");
        let web = workload.restart().create(east.client()).await.unwrap();
        assert_eq!(web.metadata.generation, Some(1));
        restart(&east, kind, "web", "1").await;
        let api = objects(east.client(), kind, Some("team"));
        let stale = json!({
            "metadata": { "resourceVersion": web.metadata.resource_version },
            "spec": { "template": { "metadata": { "annotations": { RESTARTS: "2" } } } },
        });
        let (params, stale) = (PatchParams::default(), Patch::Merge(stale));
        let conflict = api.patch("web", &params, &stale).await.unwrap_err();
        assert!(
            matches!(&conflict, kube::Error::Api(status) if status.code == 409),
            "{kind:?}: {conflict}"
        );
        let now = api.get("web").await.unwrap();
        assert_eq!(now.metadata.generation, Some(2), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rollouts_are_served_only_where_they_are_asked_for() {
    let east = Cluster::stand_in("east").await.unwrap();
    let groups = async || {
        let discovery = kube::Discovery::new(east.client().clone()).run().await;
        let discovery = discovery.unwrap();
        ["apps", "argoproj.io"].map(|group| discovery.has_group(group))
    };
    assert_eq!(groups().await, [true, false]);
    serve_rollouts(&east).await.unwrap();
    assert_eq!(groups().await, [true, true]);
}
