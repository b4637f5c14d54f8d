//! What the API says it serves: what kube's discovery and kubectl ask first.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Serving;
use crate::cluster::Kind;

/// The answer to a discovery path; `None` when the path is about something else.
pub(super) fn discover(path: &str, serving: Serving) -> Option<Value> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match segments.as_slice() {
        ["version"] => Some(json!({
            "major": "1", "minor": "36", "gitVersion": "v1.36.0-stand-in", "gitCommit": "", "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc", "platform": "stand-in",
        })),
        ["livez" | "readyz" | "healthz"] => Some(json!("ok")),
        ["api"] => Some(
            json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] }),
        ),
        ["api", "v1"] => Some(resources("", "v1", serving)),
        ["apis"] => {
            let names: BTreeSet<_> = Kind::ALL.map(Kind::group).into();
            let groups: Vec<_> = names
                .into_iter()
                .map(|name| (name, versions_of(name, serving)))
                .filter(|(name, versions)| !name.is_empty() && !versions.is_empty())
                .map(|(name, versions)| group(name, &versions))
                .collect();
            Some(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }))
        }
        ["apis", name] => {
            let versions = versions_of(name, serving);
            versions.first()?;
            let mut group = group(name, &versions);
            group["kind"] = "APIGroup".into();
            group["apiVersion"] = "v1".into();
            Some(group)
        }
        ["apis", name, version] if versions_of(name, serving).contains(version) => {
            Some(resources(name, version, serving))
        }
        _ => None,
    }
}

/// The preferred one first.
fn versions_of(group: &str, serving: Serving) -> Vec<&'static str> {
    let kinds = Kind::ALL.into_iter().filter(|kind| kind.group() == group);
    let mut versions: Vec<_> = kinds.filter_map(|kind| serving.version_of(kind)).collect();
    versions.dedup();
    versions
}

fn group(name: &str, versions: &[&str]) -> Value {
    let version =
        |version: &&str| json!({ "groupVersion": format!("{name}/{version}"), "version": version });
    let versions: Vec<_> = versions.iter().map(version).collect();
    json!({ "name": name, "preferredVersion": versions.first(), "versions": versions })
}

fn resources(group: &str, version: &str, serving: Serving) -> Value {
    let mut resources = Vec::new();
    let of_it = |kind: &Kind| kind.group() == group && serving.version_of(*kind) == Some(version);
    for kind in Kind::ALL.into_iter().filter(of_it) {
        resources.push(json!({
            "name": kind.plural(),
            "singularName": kind.name().to_lowercase(),
            "namespaced": kind.is_namespaced(),
            "kind": kind.name(),
            "verbs": ["create", "delete", "get", "list", "patch", "watch"],
        }));
        if kind.has_status() {
            resources.push(json!({
                "name": format!("{}/status", kind.plural()),
                "singularName": "",
                "namespaced": kind.is_namespaced(),
                "kind": kind.name(),
                "verbs": ["get", "patch"],
            }));
        }
    }
    let group_version = format!("{group}/{version}");
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version.trim_start_matches('/'),
        "resources": resources,
    })
}
