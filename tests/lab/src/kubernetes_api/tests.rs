use kube::{
    Config,
    api::{Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;

use super::*;
use crate::cluster::{Kind, annotate, annotation, external_secret, get, objects};

fn denied(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

#[tokio::test]
#[ignore = "builds a kube-apiserver with Go: .ci/run asks for it"]
async fn the_real_api_takes_an_external_secret_and_a_patch_and_keeps_them_over_a_restart() {
    let mut server = KubernetesApi::start().await.unwrap();
    let client = server.client();
    let database = external_secret("database")
        .cluster_store("akeyless")
        .key("/prod/db");
    database.create(&client).await.unwrap();
    annotate(&client, "default", "database", "v1")
        .await
        .unwrap();
    let refresh = annotation(&client, "default", "database").await.unwrap();
    assert_eq!(refresh.as_deref(), Some("v1"));
    let api = objects(&client, Kind::ExternalSecret, Some("default"));
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
    let refused = get(&client, "default", "database").await.unwrap_err();
    assert!(denied(&refused), "{refused}");

    let file = Kubeconfig::read_from(server.kubeconfig_as(user).unwrap()).unwrap();
    let options = KubeConfigOptions {
        context: Some("lab".into()),
        ..Default::default()
    };
    let config = Config::from_custom_kubeconfig(file, &options)
        .await
        .unwrap();
    let client = Client::try_from(config).unwrap();
    let refused = get(&client, "default", "database").await.unwrap_err();
    assert!(denied(&refused), "{refused}");
}

#[test]
fn a_directory_without_the_programs_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = Programs::from_assets(dir.path()).unwrap_err().to_string();
    assert!(error.starts_with("KUBEBUILDER_ASSETS"), "{error}");
}
