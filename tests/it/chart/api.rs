//! A real API server takes all that is rendered.

use std::{
    fs,
    path::{Path, PathBuf},
};

use eso_relay_lab::{cluster::create_namespace, kubernetes_api::KubernetesApi};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

use super::{CASES, Chart, NAMESPACE, RELEASE, case, case_with, copied, name, of_kind};
use crate::{
    docs::path,
    manifests::{apply, discover},
};

/// The kinds of ESO, of Argo, and of what else the chart can make: in the directory `CHART_CRDS`, else our own small
/// definitions.
fn definitions(into: &Path) {
    let own = |folder: &str| path("tests/lab").join(folder);
    let of_others = std::env::var_os("CHART_CRDS").filter(|it| !it.is_empty());
    let of_others = of_others.map_or_else(|| own("operators"), PathBuf::from);
    for folder in [own("crds"), own("argo"), of_others] {
        for entry in fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            let foreign = file
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("kubernetes-client");
            if file.extension().is_some_and(|it| it == "yaml") && !foreign {
                fs::copy(&file, into.join(file.file_name().unwrap())).unwrap();
            }
        }
    }
}

async fn kubernetes_api() -> KubernetesApi {
    let folder = tempfile::tempdir().unwrap();
    definitions(folder.path());
    let api = KubernetesApi::with_definitions(folder.path())
        .await
        .unwrap();
    for namespace in [NAMESPACE, "team-a", "team-b"] {
        create_namespace(&api.client(), namespace).await.unwrap();
    }
    restrict(&api.client()).await;
    api
}

/// Pods there must keep to the strictest standard.
async fn restrict(client: &Client) {
    let kind = GroupVersionKind::gvk("", "v1", "Namespace");
    let namespaces: Api<DynamicObject> =
        Api::all_with(client.clone(), &ApiResource::from_gvk(&kind));
    let labels =
        json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
    let (params, labels) = (PatchParams::default(), Patch::Merge(&labels));
    let patched = namespaces.patch(NAMESPACE, &params, &labels).await;
    patched.unwrap();
}

/// The pods that these objects would have.
fn pods(objects: &[Value]) -> Vec<Value> {
    let templates = objects
        .iter()
        .filter(|it| it["spec"]["template"].is_object());
    templates
        .map(|it| {
            let mut pod = it["spec"]["template"].clone();
            pod["apiVersion"] = "v1".into();
            pod["kind"] = "Pod".into();
            pod["metadata"]["name"] = name(it).into();
            pod["metadata"]["namespace"] = NAMESPACE.into();
            // A claim makes the volume.
            let claims = of_claims(it);
            let volumes = &mut pod["spec"]["volumes"];
            if let (Some(volumes), false) = (volumes.as_array_mut(), claims.is_empty()) {
                volumes.extend(claims);
            }
            pod
        })
        .collect()
}

fn of_claims(object: &Value) -> Vec<Value> {
    let claims = object["spec"]["volumeClaimTemplates"].as_array();
    claims
        .into_iter()
        .flatten()
        .map(|it| json!({ "name": name(it), "emptyDir": {} }))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_api_server_takes_every_case() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let api = kubernetes_api().await;
    let discovery = discover(&api.client()).await;
    for (case, _) in CASES {
        let objects = chart.objects(&self::case(case)).await;
        let pods = pods(&objects);
        assert!(!pods.is_empty(), "{case}");
        for object in objects.iter().chain(&pods) {
            apply(&api.client(), &discovery, object, true).await;
        }
    }
}

/// The test itself can fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_with_more_rights_would_be_refused() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let api = kubernetes_api().await;
    let objects = chart.objects(&case("minimal")).await;
    let mut pod = pods(&objects).remove(0);
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = true.into();
    let discovery = discover(&api.client()).await;
    let client = api.client();
    let refused = tokio::spawn(async move { apply(&client, &discovery, &pod, true).await });
    assert!(refused.await.is_err());
}

/// How often the specification of each Deployment has changed.
async fn generations(client: &Client) -> Vec<(String, u64)> {
    let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments");
    let request = axum::http::Request::get(path).body(Vec::new()).unwrap();
    let answer: Value = client.request(request).await.unwrap();
    let deployments = answer["items"].as_array().unwrap();
    let generation = |it: &Value| it["metadata"]["generation"].as_u64().unwrap();
    deployments
        .iter()
        .map(|it| (name(it).to_owned(), generation(it)))
        .collect()
}

/// By Helm itself, which prints the notes then.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_installed_and_upgraded() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    let api = kubernetes_api().await;
    let kubeconfig = api.kubeconfig().display().to_string();
    // Our API server, built from its module, does not know its version.
    let copy = copied("kubeVersion:", "");
    let copy = copy.path().join(RELEASE).display().to_string();
    let apply = async |verb: &str, values: Vec<String>| {
        let arguments = [verb, RELEASE, &copy, "--namespace", NAMESPACE];
        let arguments = arguments.map(str::to_owned).into_iter();
        let arguments = arguments.chain(["--kubeconfig".to_owned(), kubeconfig.clone()]);
        let said = chart.helm.run(&path(""), arguments.chain(values)).await;
        said.unwrap_or_else(|error| panic!("{verb}: {error}"))
    };
    let notes = apply("install", case("balanced")).await;
    for words in [
        "sns: http://eso-relay-ingress.eso-relay.svc:8081/v1/hooks/sns",
        "This cluster is east.",
        "helm test eso-relay --namespace eso-relay --logs",
        "WARNING: the connection to NATS is not bound to TLS",
    ] {
        assert!(notes.contains(words), "no {words:?} in {notes}");
    }
    assert!(!notes.contains("one replica"), "{notes}");
    let deployed = |ingress, consumer| {
        let generations = [
            ("eso-relay-consumer", consumer),
            ("eso-relay-ingress", ingress),
        ];
        generations.map(|(name, generation)| (name.to_owned(), generation))
    };
    assert_eq!(generations(&api.client()).await, deployed(1, 1));
    let source = ["ingress.config.sources[0].max_age=1h"];
    apply("upgrade", case_with("balanced", &source)).await;
    assert_eq!(generations(&api.client()).await, deployed(2, 1));
    // One more cluster: another Job, and no pod that restarts.
    let cluster = [source[0], "init.clusters={west}"];
    apply("upgrade", case_with("balanced", &cluster)).await;
    assert_eq!(generations(&api.client()).await, deployed(2, 1));
}

/// Whether the account may do this, by the API's own answer.
async fn may(client: &Client, verb: &str, group: &str, resource: &str, namespace: &str) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": {
            "verb": verb, "group": group, "resource": resource, "subresource": subresource, "namespace": namespace,
        } },
    });
    let request =
        axum::http::Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .header("content-type", "application/json");
    let request = request.body(review.to_string().into_bytes()).unwrap();
    let answer: Value = client.request(request).await.unwrap();
    answer["status"]["allowed"].as_bool().unwrap()
}

const ESO: &str = "external-secrets.io";

#[tokio::test(flavor = "multi_thread")]
async fn the_account_has_its_rights_and_no_other() {
    let Some(chart) = Chart::new().await else {
        return;
    };
    for (arguments, everywhere) in [
        (case("cluster"), true),
        (case_with("namespaced", &[]), false),
    ] {
        let api = kubernetes_api().await;
        let discovery = discover(&api.client()).await;
        let objects = chart.objects(&arguments).await;
        for kind in ["ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding"] {
            for object in of_kind(&objects, kind) {
                apply(&api.client(), &discovery, object, false).await;
            }
        }
        let account = "system:serviceaccount:eso-relay:eso-relay-consumer";
        let account = api.client_as(account).await.unwrap();
        for (verb, group, resource) in [
            ("watch", ESO, "externalsecrets"),
            ("patch", ESO, "externalsecrets"),
            ("patch", ESO, "externalsecrets/status"),
            ("list", ESO, "secretstores"),
            ("patch", "apps", "deployments"),
        ] {
            assert!(
                may(&account, verb, group, resource, "team-a").await,
                "{verb} {resource}"
            );
            // `kube-system` is none of the namespaces.
            let elsewhere = may(&account, verb, group, resource, "kube-system").await;
            assert_eq!(elsewhere, everywhere, "{verb} {resource}");
        }
        // By a ClusterRole of its own.
        assert!(may(&account, "list", ESO, "clustersecretstores", "").await);
        for (verb, group, resource) in [
            ("get", "", "secrets"),
            ("list", "", "secrets"),
            ("get", "", "configmaps"),
            ("create", "", "pods"),
            ("delete", ESO, "externalsecrets"),
            ("create", ESO, "externalsecrets"),
            ("patch", ESO, "secretstores"),
            ("get", "apps", "deployments"),
            ("patch", "rbac.authorization.k8s.io", "roles"),
        ] {
            assert!(
                !may(&account, verb, group, resource, "team-a").await,
                "{verb} {resource}"
            );
        }
    }
}
