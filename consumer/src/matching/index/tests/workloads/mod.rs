use serde_json::json;

use super::*;
use crate::{
    matching::workload::{Honour, Manifest, ValuesRef, Workload},
    object::WorkloadKind,
};

mod evidence;
mod references;

const OWN: &str = "eso-relay.dev/restart";

fn reference(name: &str) -> ObjectRef {
    let (namespace, name) = name.split_once('/').unwrap();
    ObjectRef::workload(WorkloadKind::Deployment, namespace, name)
}

/// A Deployment with these annotations and a container.
fn read(
    name: &str,
    annotations: &serde_json::Value,
    container: &serde_json::Value,
) -> Option<Workload> {
    let metadata = json!({ "resourceVersion": "1", "annotations": annotations });
    let template = json!({ "metadata": { "annotations": annotations }, "spec": { "containers": [container] } });
    let manifest = Manifest::of(&metadata, &json!({ "template": template }), &json!({}));
    manifest.workload(reference(name), &[Honour::Stakater])
}

fn applied_workload(
    name: &str,
    annotations: &serde_json::Value,
    container: &serde_json::Value,
) -> Change {
    let workload = read(name, annotations, container);
    workload.map_or(
        Change::WorkloadGone(reference(name)),
        Change::WorkloadApplied,
    )
}

/// It has opted in and reads these Secrets as variables.
fn reader(name: &str, secrets: &[&str]) -> Change {
    let sources: Vec<_> = secrets
        .iter()
        .map(|name| json!({ "secretRef": { "name": name } }))
        .collect();
    applied_workload(
        name,
        &json!({ OWN: "true" }),
        &json!({ "envFrom": sources }),
    )
}

/// It has opted in and has these variables.
pub(super) fn with_variables(name: &str, values: &[&str]) -> Change {
    let variables: Vec<_> = values
        .iter()
        .map(|value| json!({ "name": "X", "value": value }))
        .collect();
    applied_workload(name, &json!({ OWN: "true" }), &json!({ "env": variables }))
}

fn writing(target: &str, references: Vec<Reference>, values: Option<ValuesRef>) -> Change {
    let object = secret(target, references);
    let own = Writes::own_name(&object.target);
    Change::Applied(ExternalSecret {
        writes: Some(Writes { values, ..own }),
        ..object
    })
}

/// `workload > followed,…`, with `+` for one that reads the store itself and `- reason` for one that is not restarted.
fn restarts(index: &Index, event: &Event) -> Vec<String> {
    let mut shown: Vec<_> = index.matching(event).workloads.iter().map(shown).collect();
    shown.sort();
    shown
}

fn shown(matched: &MatchedWorkload) -> String {
    let follows: Vec<_> = matched.follows.iter().map(ObjectRef::to_string).collect();
    let store = if matched.reads_store { "+" } else { "" };
    let against = matched
        .against
        .map(|reason| format!(" - {}", reason.as_str()));
    format!(
        "{}{store} > {}{}",
        matched.workload.name(),
        follows.join(","),
        against.unwrap_or_default()
    )
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn readers_follow_the_external_secrets_of_the_event() {
    let s = store("n", "s");
    let index = index([
        applied("n/a", vec![key(&s, "k")]),
        applied("n/b", vec![key(&s, "k")]),
        applied("n/c", vec![key(&s, "other")]),
        applied("m/a", vec![key(&store("m", "s"), "other")]),
        reader("n/one", &["a", "c"]),
        reader("n/two", &["a", "b"]),
        reader("n/three", &["c"]),
        reader("m/four", &["a"]),
        applied_workload(
            "n/not",
            &json!({}),
            &json!({ "envFrom": [{ "secretRef": { "name": "a" } }] }),
        ),
    ]);
    assert_eq!(
        restarts(&index, &exact("generic", "k")),
        ["one > n/a", "two > n/a,n/b"]
    );
    assert_eq!(index.stats().workloads, 4);
}

#[test]
fn a_reader_is_found_by_the_name_that_eso_writes() {
    let s = store("n", "s");
    let secret = |name: &str| Some(ValuesRef::Secret(name.into()));
    let reads = || vec![key(&s, "k")];
    let mut index = index([
        reader("n/own", &["es"]),
        reader("n/named", &["named"]),
        applied_workload(
            "n/settings",
            &json!({ OWN: "true" }),
            &json!({ "envFrom": [{ "configMapRef": { "name": "es" } }] }),
        ),
        applied("n/es", reads()),
    ]);
    let event = exact("generic", "k");
    assert_eq!(restarts(&index, &event), ["own > n/es"]);
    index.apply(writing("n/es", reads(), secret("named")));
    assert_eq!(restarts(&index, &event), ["named > n/es"]);
    index.apply(writing(
        "n/es",
        reads(),
        Some(ValuesRef::ConfigMap("es".into())),
    ));
    assert_eq!(restarts(&index, &event), ["settings > n/es"]);
    // `creationPolicy: None`.
    index.apply(writing("n/es", reads(), None));
    assert_eq!(restarts(&index, &event), none());
    index.apply(applied("n/es", reads()));
    assert_eq!(restarts(&index, &event), ["own > n/es"]);
}

#[test]
fn what_an_owner_refreshes_is_followed_by_the_owner() {
    let owner = ObjectRef::owner("all");
    let child = |target: &str| {
        let s = cluster_store("s");
        Change::Applied(ExternalSecret {
            owner: Some(owner.clone()),
            ..secret(target, vec![key(&s, "k")])
        })
    };
    let index = index([
        Change::OwnerApplied {
            owner: owner.clone(),
            value: None,
            uid: None,
        },
        child("n/es"),
        child("m/es"),
        reader("n/one", &["es"]),
        reader("m/two", &["es"]),
    ]);
    let follows = [
        "one > ClusterExternalSecret/all",
        "two > ClusterExternalSecret/all",
    ];
    assert_eq!(restarts(&index, &exact("generic", "k")), follows);
}

#[test]
fn one_that_reads_the_store_and_a_secret_follows() {
    let s = store("n", "s");
    let container = json!({ "env": [{ "value": "vault:secret/data/db#p" }], "envFrom": [{ "secretRef": { "name": "es" } }] });
    let index = index([
        applied("n/es", vec![key(&s, "secret/data/db")]),
        applied_workload("n/w", &json!({ OWN: "true" }), &container),
    ]);
    assert_eq!(
        restarts(&index, &exact("generic", "secret/data/db")),
        ["w+ > n/es"]
    );
}

#[test]
fn the_reach_of_an_event_holds_for_workloads() {
    let s = cluster_store("mine");
    let index = index([
        applied("n/es", vec![key(&s, "k")]),
        applied("m/es", vec![key(&s, "k")]),
        reader("n/one", &["es"]),
        reader("m/one", &["es"]),
        with_variables("n/two", &["vault:k#x"]),
        with_variables("m/two", &["vault:k#x"]),
    ]);
    let within = |reach: Reach| Event {
        target: Some(reach),
        ..exact("generic", "k")
    };
    let namespace = Reach {
        namespaces: vec![Pattern::new("n")],
        ..Reach::default()
    };
    assert_eq!(
        restarts(&index, &within(namespace)),
        ["one > n/es", "two+ > "]
    );
    // A reference goes through no store of ESO.
    let stores = vec![StorePattern {
        kind: Some(StoreKind::ClusterSecretStore),
        name: Pattern::new("mine"),
    }];
    let of_store = Reach {
        stores,
        ..Reach::default()
    };
    assert_eq!(
        restarts(&index, &within(of_store)),
        ["one > m/es", "one > n/es"]
    );
}

#[test]
fn one_that_lost_what_it_read_is_not_restarted() {
    let s = store("n", "s");
    let event = exact("generic", "k");
    let gone = |shown: Vec<Observation>| {
        assert_eq!(
            shown,
            [Observation::Workload {
                workload: reference("n/w"),
                state: None
            }]
        );
    };
    let listing = Listing {
        kind: ListKind::Workloads(WorkloadKind::Deployment),
        namespace: Some("n".to_owned()),
    };
    let pinned = with_variables("n/w", &["vault:a#b#1"]);
    let unasked = applied_workload(
        "n/w",
        &json!({}),
        &json!({ "envFrom": [{ "secretRef": { "name": "es" } }] }),
    );
    for last in [
        reader("n/w", &[]),
        pinned,
        unasked,
        Change::WorkloadGone(reference("n/w")),
        Change::ListDenied(listing.clone()),
    ] {
        let mut index = index([applied("n/es", vec![key(&s, "k")]), reader("n/w", &["es"])]);
        assert_eq!(restarts(&index, &event), ["w > n/es"]);
        gone(index.apply(last));
        assert_eq!(restarts(&index, &event), none());
    }
    // One that a list does not have any more.
    let mut index = index([
        applied("n/es", vec![key(&s, "k")]),
        reader("n/w", &["es"]),
        reader("m/w", &["es"]),
    ]);
    index.apply(Change::ListBegins(listing.clone()));
    gone(index.apply(Change::ListEnds(listing)));
    assert_eq!(index.stats().workloads, 1);
    index.apply(Change::WorkloadGone(reference("m/w")));
    assert!(index.workloads.holds_nothing(), "{index:?}");
}

#[test]
fn annotations_of_reloader_on_the_secret_count() {
    let s = store("n", "s");
    let writes = |ignored, matched| {
        let object = secret("n/es", vec![key(&s, "k")]);
        let own = Writes::own_name(&object.target);
        Change::Applied(ExternalSecret {
            writes: Some(Writes {
                ignored,
                matched,
                ..own
            }),
            ..object
        })
    };
    let container = json!({ "envFrom": [{ "secretRef": { "name": "es" } }] });
    let by = |name: &str, annotations: serde_json::Value| {
        applied_workload(name, &annotations, &container)
    };
    let mut index = index([
        by("n/auto", json!({ "reloader.stakater.com/auto": "true" })),
        by(
            "n/own",
            json!({ OWN: "true", "reloader.stakater.com/auto": "true" }),
        ),
        by(
            "n/pattern",
            json!({ "secret.reloader.stakater.com/reload": "e.*" }),
        ),
        by(
            "n/search",
            json!({ "reloader.stakater.com/search": "true" }),
        ),
    ]);
    let event = exact("generic", "k");
    let names = |index: &Index| -> Vec<String> {
        let mut names: Vec<_> = index
            .matching(&event)
            .workloads
            .iter()
            .map(|one| one.workload.name().to_owned())
            .collect();
        names.sort();
        names
    };
    for (ignored, matched, expected) in [
        (false, false, &["auto", "own", "pattern"][..]),
        (false, true, &["auto", "own", "pattern", "search"]),
        (true, true, &["own"]),
    ] {
        index.apply(writes(ignored, matched));
        assert_eq!(names(&index), expected);
    }
}
