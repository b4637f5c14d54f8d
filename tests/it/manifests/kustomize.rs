//! deploy/kustomize: the two halves of the plain manifests.

use std::process::Command;

use serde_json::Value;

use crate::docs::path;

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
