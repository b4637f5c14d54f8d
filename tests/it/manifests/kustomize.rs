//! deploy/kustomize: the two halves of the plain manifests, and components for a cluster.

use std::{fmt::Write as _, process::Command};

use eso_relay_lab::daemon::Binary;
use serde_json::{Value, json};

use crate::docs::{check_example, path, read};

/// `None` without kubectl.
fn built(folder: &str) -> Option<Vec<Value>> {
    let output = Command::new("kubectl")
        .args(["kustomize", folder])
        .current_dir(path(""))
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{folder}: {said}");
    let text = String::from_utf8(output.stdout).unwrap();
    Some(serde_saphyr::from_multiple(&text).unwrap())
}

#[test]
fn the_halves_are_the_whole() {
    let Some(all) = built("deploy/kubernetes") else {
        return;
    };
    let hub = built("deploy/kustomize/hub").unwrap();
    let cluster = built("deploy/kustomize/cluster").unwrap();
    assert!(all.len() >= 13, "{}", all.len());
    for object in &all {
        let name = object["metadata"]["name"].as_str().unwrap();
        let (in_hub, in_cluster) = (hub.contains(object), cluster.contains(object));
        match (object["kind"].as_str().unwrap(), name) {
            ("Namespace", _) => assert!(in_hub && in_cluster, "{name}"),
            (_, "eso-relay-consumer") => assert!(in_cluster && !in_hub, "{name}"),
            _ => assert!(in_hub && !in_cluster, "{name}"),
        }
    }
    assert_eq!(hub.len() + cluster.len(), all.len() + 1);
}

/// A cluster with these components, as an overlay of a user's in another folder.
fn cluster_with(components: &[&str]) -> Option<Vec<Value>> {
    let folder = tempfile::tempdir().unwrap();
    // kubectl takes no absolute paths.
    let root = "../".repeat(folder.path().components().count());
    let kustomize = format!("{root}{}", path("deploy/kustomize").display());
    let mut text = format!("resources: [{kustomize}/cluster]\ncomponents:\n");
    for component in components {
        writeln!(text, "  - {kustomize}/components/{component}").unwrap();
    }
    std::fs::write(folder.path().join("kustomization.yaml"), text).unwrap();
    built(&folder.path().display().to_string())
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|it| it["kind"] == kind).collect()
}

#[tokio::test]
async fn a_namespaced_cluster_has_roles_and_watches_their_namespaces() {
    let Some(objects) = cluster_with(&["namespaced"]) else {
        return;
    };
    let role = read("deploy/kustomize/components/namespaced/role.yaml");
    assert_eq!(role, read("deploy/kubernetes/consumer-namespaced.yaml"));
    assert!(of_kind(&objects, "ClusterRole").is_empty());
    assert!(of_kind(&objects, "ClusterRoleBinding").is_empty());
    let roles = of_kind(&objects, "Role");
    let namespaces: Vec<_> = roles
        .iter()
        .map(|it| &it["metadata"]["namespace"])
        .collect();
    let map = of_kind(&objects, "ConfigMap").remove(0);
    let yaml = map["data"]["consumer.yaml"].as_str().unwrap();
    let output = check_example(Binary::Consumer, yaml, &[]).await;
    assert!(output.status.success(), "{output:?}");
    let settings: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(settings["kubernetes"]["namespaces"], json!(namespaces));
}

#[tokio::test]
async fn push_secrets_have_the_right_and_the_setting() {
    let rule = json!({
        "apiGroups": ["external-secrets.io"],
        "resources": ["pushsecrets"],
        "verbs": ["get", "list", "watch", "patch"],
    });
    for (components, kind) in [
        (vec!["push-secrets"], "ClusterRole"),
        (vec!["namespaced", "push-secrets"], "Role"),
    ] {
        let Some(objects) = cluster_with(&components) else {
            return;
        };
        let rights = of_kind(&objects, kind).remove(0);
        let rules = rights["rules"].as_array().unwrap();
        assert_eq!(rules.iter().filter(|it| **it == rule).count(), 1, "{kind}");

        let map = of_kind(&objects, "ConfigMap").remove(0);
        let yaml = map["data"]["consumer.yaml"].as_str().unwrap();
        let deployment = of_kind(&objects, "Deployment").remove(0);
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let env = container["env"].as_array().unwrap().iter();
        let env: Vec<_> = env
            .map(|it| (it["name"].as_str().unwrap(), it["value"].as_str().unwrap()))
            .collect();
        let output = check_example(Binary::Consumer, yaml, &env).await;
        assert!(output.status.success(), "{output:?}");
        let settings: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(settings["refresh"]["push_secrets"], true);
    }
}
