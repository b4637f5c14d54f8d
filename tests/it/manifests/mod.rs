//! deploy/kubernetes: a real API server takes the manifests, and their rights are enough and not more.

mod kes;
mod kustomize;
mod restarts;

use eso_relay_lab::{
    cluster::{Kind, create_namespace, events_on, external_secret, store},
    installation::{Cluster, Hub, KubernetesKind, READY, Webhooks},
    wait,
};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    discovery::{Discovery, Scope},
};
use serde_json::{Value, json};

use crate::{
    consuming::synced,
    docs::{documented_objects, path, read},
};

const ACCOUNT: &str = "system:serviceaccount:eso-relay:eso-relay-consumer";
const RBAC: &str = "rbac.authorization.k8s.io/v1";

fn objects(file: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(&format!("deploy/kubernetes/{file}"))).unwrap()
}

fn files() -> Vec<String> {
    let entries = std::fs::read_dir(path("deploy/kubernetes")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.rsplit('.').next() == Some("yaml") && name != "kustomization.yaml")
        .collect()
}

/// Server-side apply, as `kubectl apply --server-side`: unknown fields are refused.
pub(crate) async fn apply(client: &Client, discovery: &Discovery, object: &Value, dry_run: bool) {
    let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    let types = object.types.clone().unwrap();
    let (group, version) = types
        .api_version
        .split_once('/')
        .unwrap_or(("", &types.api_version));
    let gvk = kube::core::GroupVersionKind::gvk(group, version, &types.kind);
    let (resource, capabilities) = discovery.resolve_gvk(&gvk).unwrap();
    let namespace = object.metadata.namespace.as_deref();
    let api: Api<DynamicObject> = match (capabilities.scope, namespace) {
        (Scope::Namespaced, Some(namespace)) => {
            Api::namespaced_with(client.clone(), namespace, &resource)
        }
        (Scope::Namespaced, None) => panic!("{} has no namespace", types.kind),
        (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
    };
    let mut params = PatchParams::apply("manifests");
    params.dry_run = dry_run;
    params.field_validation = Some(kube::api::ValidationDirective::Strict);
    let name = object.metadata.name.clone().unwrap();
    let applied = api.patch(&name, &params, &Patch::Apply(&object)).await;
    applied.unwrap_or_else(|error| panic!("{} {name}: {error}", types.kind));
}

pub(crate) async fn discover(client: &Client) -> Discovery {
    Discovery::new(client.clone()).run().await.unwrap()
}

/// A real API with the namespaces; `None` where the run is on stand-ins.
async fn cluster() -> Option<Cluster> {
    if KubernetesKind::of_environment() == KubernetesKind::StandIn {
        return None;
    }
    let east = Cluster::of_kind("east", KubernetesKind::Real)
        .await
        .unwrap();
    for namespace in ["eso-relay", "team-a", "team-b"] {
        create_namespace(east.client(), namespace).await.unwrap();
    }
    Some(east)
}

#[test]
fn no_manifest_asks_for_access_to_secrets() {
    let mut rules = 0;
    for file in files() {
        for object in objects(&file).iter().filter(|it| it["rules"].is_array()) {
            for rule in object["rules"].as_array().unwrap() {
                rules += 1;
                if rule["apiGroups"] == json!([""]) {
                    assert_eq!(rule["resources"], json!(["namespaces"]), "{file}");
                    assert_eq!(rule["verbs"], json!(["list", "watch"]), "{file}");
                    continue;
                }
                if rule["apiGroups"] == json!(["events.k8s.io"]) {
                    assert_eq!(rule["resources"], json!(["events"]), "{file}");
                    assert_eq!(rule["verbs"], json!(["create"]), "{file}");
                    continue;
                }
                // Workloads only by the manifests that are about restarts.
                if file.starts_with("restart") {
                    let workloads = match rule["apiGroups"][0].as_str().unwrap() {
                        "apps" => json!(["deployments", "statefulsets", "daemonsets"]),
                        "argoproj.io" => json!(["rollouts"]),
                        other => panic!("{file}: {other}"),
                    };
                    assert_eq!(rule["resources"], workloads, "{file}");
                    assert_eq!(rule["verbs"], json!(["list", "watch", "patch"]), "{file}");
                    continue;
                }
                let group = if file == "kes.yaml" {
                    "kubernetes-client.io"
                } else {
                    "external-secrets.io"
                };
                assert_eq!(rule["apiGroups"], json!([group]), "{file}");
                let resources = rule["resources"].to_string();
                // Of what ESO writes, only the status of what it is to refresh.
                if resources.contains("/status") {
                    assert_eq!(
                        rule["resources"],
                        json!(["externalsecrets/status"]),
                        "{file}"
                    );
                    assert_eq!(rule["verbs"], json!(["patch"]), "{file}");
                }
                assert!(!resources.contains("\"secrets\"") && !resources.contains('*'));
            }
        }
    }
    assert!(rules >= 10, "{rules}");
}

#[test]
fn manifests_are_restricted_and_probed() {
    for file in ["ingress.yaml", "poller.yaml", "consumer.yaml"] {
        let objects = objects(file);
        let deployment = objects
            .iter()
            .find(|it| it["kind"] == "Deployment")
            .unwrap();
        let pod = &deployment["spec"]["template"];
        let (spec, container) = (&pod["spec"], &pod["spec"]["containers"][0]);
        let security = &container["securityContext"];
        assert_eq!(security["runAsNonRoot"], true);
        assert_eq!(security["readOnlyRootFilesystem"], true);
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
        let ports = container["ports"].as_array().unwrap();
        let admin = ports.iter().find(|port| port["name"] == "admin").unwrap();
        assert_eq!(admin["containerPort"], 9090);
        let scrape = &pod["metadata"]["annotations"]["prometheus.io/port"];
        assert_eq!(scrape, "9090");
        assert_eq!(container["readinessProbe"]["httpGet"]["port"], "admin");
        assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/livez");
        let grace = eso_relay_ingress::ShutdownConfig::default().grace;
        let grace = grace.max(eso_relay_consumer::config::ShutdownConfig::default().grace);
        let patience = spec["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(patience > grace.as_secs(), "{file}");
    }
    // Kubernetes can only see of a number that it is not root.
    let user = read("deploy/Dockerfile");
    let user = user
        .lines()
        .rfind(|line| line.starts_with("USER "))
        .unwrap();
    assert!(user["USER ".len()..].starts_with(|c: char| ('1'..='9').contains(&c)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_api_server_takes_every_manifest() {
    let Some(east) = cluster().await else { return };
    let discovery = discover(east.client()).await;
    for file in files() {
        for object in objects(&file) {
            apply(east.client(), &discovery, &object, true).await;
        }
    }
    let documented = documented_objects();
    assert!(!documented.is_empty());
    for yaml in documented {
        let objects: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
        for object in objects {
            apply(east.client(), &discovery, &object, true).await;
        }
    }
}

/// Starts a consumer as the manifests' service account, and sees it patch; then tries what it must not do.
async fn consumer_with(east: &mut Cluster, rights: &[Value], more: &str) {
    let discovery = discover(east.client()).await;
    for object in rights.iter().filter(|it| it["apiVersion"] == RBAC) {
        apply(east.client(), &discovery, object, false).await;
    }
    let akeyless = store("akeyless").in_namespace("team-a").akeyless();
    akeyless.create(east.client()).await.unwrap();
    east.values.set("/prod/db", "old");
    let reads = |name| {
        external_secret(name)
            .in_namespace("team-a")
            .from_store("akeyless")
    };
    let db = reads("db").key("/prod/db");
    db.create(east.client()).await.unwrap();
    let once = reads("once").key("/prod/db").refresh_policy("CreatedOnce");
    let once = once.annotated("eso-relay.dev/force", "true");
    once.create(east.client()).await.unwrap();
    synced(east.client(), "team-a", "once").await;

    let hub = Hub::start().await.unwrap();
    hub.init(&["east"]).await.unwrap();
    let mut ingress = hub.ingress().start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let api = east.as_real().unwrap();
    let kubeconfig = api.kubeconfig_as(ACCOUNT).unwrap();
    let account = api.client_as(ACCOUNT).await.unwrap();
    let consumer = east.consumer(&hub, more).kubeconfig(&kubeconfig);
    let mut consumer = consumer.start().await.unwrap();
    consumer.wait_ready(READY).await.unwrap();
    let webhooks = Webhooks::to(&ingress.url());
    webhooks.updated(&["/prod/db"]).await.unwrap();
    east.refreshed("team-a", "db", None).await.unwrap();
    let metric = "eso_relay_consumer_resets_total";
    wait::until(
        "the status of the forced one to be reset",
        READY,
        || async {
            let done = consumer.count(metric, &[("result", "done")]).await;
            (done.unwrap() > 0).then_some(())
        },
    )
    .await
    .unwrap();
    let kind = Kind::ExternalSecret;
    wait::until("an Event on it", READY, || async {
        let events = events_on(east.client(), kind, Some("team-a"), "db").await;
        (!events.unwrap().is_empty()).then_some(())
    })
    .await
    .unwrap();

    for path in [
        "/api/v1/namespaces/team-a/secrets",
        "/api/v1/namespaces/team-a/secrets/db",
        "/api/v1/secrets",
        "/api/v1/namespaces/team-a/configmaps",
    ] {
        let request = http_get(path);
        let error = account.request_text(request).await.unwrap_err();
        assert!(
            matches!(&error, kube::Error::Api(status) if status.code == 403),
            "{path}: {error}"
        );
    }
}

fn http_get(path: &str) -> axum::http::Request<Vec<u8>> {
    axum::http::Request::get(path).body(Vec::new()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_role_is_enough_and_reads_no_secret() {
    let Some(mut east) = cluster().await else {
        return;
    };
    consumer_with(&mut east, &objects("consumer.yaml"), "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_serves_one_namespace() {
    let Some(mut east) = cluster().await else {
        return;
    };
    let more = "kubernetes: { namespaces: [team-a] }";
    consumer_with(&mut east, &objects("consumer-namespaced.yaml"), more).await;
    let account = east.as_real().unwrap().client_as(ACCOUNT).await.unwrap();
    let elsewhere = "/apis/external-secrets.io/v1/namespaces/team-b/externalsecrets";
    account.request_text(http_get(elsewhere)).await.unwrap_err();
}
