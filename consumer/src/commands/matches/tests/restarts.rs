use super::*;
use crate::{matching::workload::Manifest, object::WorkloadKind};

#[test]
fn workloads_are_shown_with_what_they_wait_for() {
    let mut listed = listed();
    let deployment = |name: &str, annotations: serde_json::Value, container: serde_json::Value| {
        let spec = json!({ "template": { "spec": { "containers": [container] } } });
        let manifest = Manifest::of(&json!({ "annotations": annotations }), &spec, &json!({}));
        let target = ObjectRef::workload(WorkloadKind::Deployment, "team-a", name);
        Change::WorkloadApplied(manifest.workload(target, &[]).unwrap())
    };
    let own = json!({ "eso-relay.dev/restart": "true" });
    let secrets = |names: &[&str]| {
        let sources = names
            .iter()
            .map(|name| json!({ "secretRef": { "name": name } }));
        json!({ "envFrom": sources.collect::<Vec<_>>() })
    };
    for change in [
        deployment("api", own.clone(), secrets(&["db"])),
        deployment("jobs", own.clone(), secrets(&["finder"])),
        deployment("other", own.clone(), secrets(&["web"])),
        deployment(
            "pinned",
            own.clone(),
            json!({ "env": [{ "value": "vault:app/db#p#1" }] }),
        ),
        deployment(
            "vault",
            own,
            json!({ "env": [{ "value": "vault:app/db#p" }] }),
        ),
    ] {
        listed.index.apply(change);
    }
    let generic = Event {
        provider: "generic".parse().unwrap(),
        ..event("one")
    };
    let shown = |event: &Event, listed: &Listed| {
        let report = Report::of(std::slice::from_ref(event), None, &[], &[], listed).unwrap();
        let text = report.to_string();
        let table = text.split_once("\n\n").unwrap().1.to_owned();
        (
            table,
            serde_json::to_value(&report).unwrap()["events"][0]["workloads"].clone(),
        )
    };
    let (table, json) = shown(&generic, &listed);
    assert_eq!(
        table,
        "\
NAMESPACE  WORKLOAD           RESTARTED
team-a     Deployment/api     after team-a/db
team-a     Deployment/jobs    no, find: set restart.find of eso-relay
team-a     Deployment/other   after team-a/web
team-a     Deployment/pinned  no, pinned_version: leave the version out of its reference, so that it follows the newest
team-a     Deployment/vault   yes
"
    );
    let api = json!({ "namespace": "team-a", "workload": "Deployment/api", "after": ["team-a/db"],
        "reads_store": false, "reason": null, "advice": null });
    assert_eq!(json[0], api);
    listed.restart_by_find = true;
    assert!(
        shown(&generic, &listed)
            .0
            .contains("Deployment/jobs    after team-a/finder")
    );
    let asked = Event {
        kind: eso_relay::event::Kind::RefreshRequested,
        ..generic
    };
    assert!(
        shown(&asked, &listed)
            .0
            .contains("Deployment/api     no, event: only a new event")
    );
}
