use kube::{
    Api,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use serde_json::json;

use super::*;

fn external_secrets(client: Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("external-secrets.io", "v1", "ExternalSecret");
    Api::namespaced_with(client, "default", &ApiResource::from_gvk(&kind))
}

fn database() -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": { "name": "database" },
        "spec": {
            "refreshInterval": "1h",
            "secretStoreRef": { "kind": "ClusterSecretStore", "name": "akeyless" },
            "data": [{ "secretKey": "password", "remoteRef": { "key": "/prod/db" } }],
        },
    }))
    .unwrap()
}

fn denied(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

#[tokio::test]
#[ignore = "builds a kube-apiserver with Go: .ci/run asks for it"]
async fn the_real_api_takes_an_external_secret_and_a_patch_and_keeps_them_over_a_restart() {
    let mut server = KubernetesApi::start().await.unwrap();
    let api = external_secrets(server.client());
    api.create(&PostParams::default(), &database())
        .await
        .unwrap();
    let refresh = json!({ "metadata": { "annotations": { "eso-relay.dev/refresh": "v1" } } });
    let patched = api
        .patch("database", &PatchParams::default(), &Patch::Merge(&refresh))
        .await
        .unwrap();
    assert_eq!(
        patched.metadata.annotations.unwrap()["eso-relay.dev/refresh"],
        "v1"
    );
    let status = json!({ "status": { "syncedResourceVersion": "1-abc" } });
    let synced = api
        .patch_status("database", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
    assert_eq!(synced.data["status"]["syncedResourceVersion"], "1-abc");
    // The status has a door of its own, as ESO's.
    let sneaked = json!({ "status": { "syncedResourceVersion": "2-def" } });
    let unchanged = api
        .patch("database", &PatchParams::default(), &Patch::Merge(&sneaked))
        .await
        .unwrap();
    assert_eq!(unchanged.data["status"]["syncedResourceVersion"], "1-abc");

    server.kill9().unwrap();
    server.start_again().await.unwrap();
    let kept = api.get("database").await.unwrap();
    assert_eq!(kept.data["spec"]["data"][0]["remoteRef"]["key"], "/prod/db");

    a_user_without_rights_is_denied(&server).await;
}

async fn a_user_without_rights_is_denied(server: &KubernetesApi) {
    let user = "system:serviceaccount:eso-relay:eso-relay-consumer";
    let client = server.client_as(user).await.unwrap();
    let refused = external_secrets(client).get("database").await.unwrap_err();
    assert!(denied(&refused), "{refused}");

    let file = kube::config::Kubeconfig::read_from(server.kubeconfig_as(user).unwrap()).unwrap();
    let options = KubeConfigOptions {
        context: Some("lab".into()),
        ..Default::default()
    };
    let config = Config::from_custom_kubeconfig(file, &options)
        .await
        .unwrap();
    let client = Client::try_from(config).unwrap();
    let refused = external_secrets(client).get("database").await.unwrap_err();
    assert!(denied(&refused), "{refused}");
}

#[test]
fn a_directory_without_the_programs_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = Programs::from_assets(dir.path()).unwrap_err().to_string();
    assert!(error.starts_with("KUBEBUILDER_ASSETS"), "{error}");
}
