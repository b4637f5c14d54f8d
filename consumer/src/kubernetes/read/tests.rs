use serde_json::json;

use super::*;
use crate::object::{Refreshable, Unrefreshable};

fn object(json: Value) -> Object {
    serde_json::from_value(json).unwrap()
}

fn read(spec: &Value) -> ExternalSecret {
    let json = json!({ "metadata": { "namespace": "team", "name": "db" }, "spec": spec });
    match applied(
        ListKind::ExternalSecrets,
        &object(json),
        &Selection::default(),
    ) {
        Some(Change::Applied(read)) => read,
        other => panic!("{other:?}"),
    }
}

/// `store kind/store name what`, one for each reference.
fn shown(read: &ExternalSecret) -> Vec<String> {
    let reference = |reference: &Reference| {
        let form = match &reference.form {
            Form::Key(key) => key.clone(),
            Form::Find(find) => {
                let tags = if find.tags { " tags" } else { "" };
                format!("find {:?} {:?}{tags}", find.path, find.regexp)
            }
        };
        let store = &reference.store;
        let at = reference.version.as_deref();
        let at = at.map(|version| format!(" at {version}"));
        let at = at.unwrap_or_default();
        let of = reference.property.as_deref();
        let of = of.map(|property| format!(" .{property}"));
        let of = of.unwrap_or_default();
        let kind = store.kind().unwrap();
        format!("{kind:?}/{} {form}{at}{of}", store.name())
    };
    read.references.iter().map(reference).collect()
}

#[test]
fn every_place_that_names_a_secret_is_read() {
    let read = read(&json!({
        "secretStoreRef": { "name": "main" },
        "data": [
            { "secretKey": "a", "remoteRef": { "key": "/a", "property": "x" } },
            { "secretKey": "b", "remoteRef": { "key": "b", "version": "", "property": "" },
              "sourceRef": { "storeRef": { "name": "shared", "kind": "ClusterSecretStore" } } },
        ],
        "dataFrom": [
            { "extract": { "key": "c", "version": "7" } },
            { "extract": { "key": "labels", "version": "7", "metadataPolicy": "Fetch" } },
            { "find": { "name": { "regexp": "^db" } } },
            { "find": { "path": "/p", "name": { "regexp": "x" }, "tags": { "a": "b" } },
              "sourceRef": { "storeRef": { "name": "other" } } },
            { "find": { "tags": { "a": "b" } } },
            { "sourceRef": { "generatorRef": { "kind": "Password", "name": "p" } } },
        ],
    }));
    assert_eq!(
        shown(&read),
        [
            "SecretStore/main /a .x",
            "ClusterSecretStore/shared b",
            "SecretStore/main c at 7",
            // Whatever happens to a version, its secret's metadata are read.
            "SecretStore/main labels",
            r#"SecretStore/main find None Some("^db")"#,
            r#"SecretStore/other find Some("/p") Some("x") tags"#,
            "SecretStore/main find None None tags",
        ]
    );
    assert_eq!(read.problems, Vec::<String>::new());
}

#[test]
fn sync_windows_are_noticed_whatever_they_say() {
    for (windows, noticed) in [
        (json!({ "kind": "deny", "windows": [] }), true),
        (Value::Null, false),
    ] {
        let read = read(&json!({ "syncWindows": windows }));
        assert_eq!(read.sync_windows, noticed, "{windows}");
    }
}

#[test]
fn a_malformed_part_is_reported_and_the_rest_counts() {
    let read = read(&json!({
        "secretStoreRef": { "name": "main", "kind": "ClusterSecretStore" },
        "data": [
            { "remoteRef": { "key": 7 } },
            { "secretKey": "no remoteRef" },
            "text",
            { "remoteRef": { "key": "good" } },
            { "remoteRef": { "key": "x" }, "sourceRef": { "storeRef": { "kind": "SecretStore" } } },
            { "remoteRef": { "key": "x" }, "sourceRef": { "storeRef": { "name": "s", "kind": "Vault" } } },
        ],
        "dataFrom": { "extract": "not a list" },
    }));
    assert_eq!(shown(&read), ["ClusterSecretStore/main good"]);
    assert_eq!(
        read.problems,
        [
            "data[0] has a key that is not text",
            "data[4] names no store",
            "data[5] names a store of unknown kind",
            "dataFrom is not a list",
        ]
    );
}

#[test]
fn what_a_template_takes_is_read() {
    let from = |entries: Value| {
        let template = json!({ "template": { "templateFrom": entries } });
        let read = read(&json!({ "target": template }));
        let templates = read.templates.iter().map(ToString::to_string);
        (templates.collect::<Vec<_>>(), read.problems)
    };
    let (templates, problems) = from(json!([
        { "configMap": { "name": "app", "items": [{ "key": "a" }] }, "target": "Data" },
        { "secret": { "name": "key" } },
        { "configMap": { "name": "both" }, "secret": { "name": "both" } },
        { "literal": "x" },
        { "configMap": {} },
        "text",
    ]));
    assert_eq!(
        templates,
        [
            "ConfigMap/app",
            "Secret/key",
            "ConfigMap/both",
            "Secret/both"
        ]
    );
    assert_eq!(problems, Vec::<String>::new());
    let (templates, problems) =
        from(json!([{ "configMap": { "name": 7 } }, { "secret": { "name": "" } }]));
    assert_eq!((templates.len(), problems.len()), (0, 2));
    let (_, problems) = from(json!({}));
    assert_eq!(problems, ["templateFrom is not a list"]);
}

#[test]
fn a_find_is_left_out_where_the_policy_says_so() {
    let json = json!({
        "metadata": { "namespace": "team", "name": "db" },
        "spec": { "secretStoreRef": { "name": "main" }, "dataFrom": [
            { "find": { "path": "/p" } },
            { "extract": { "key": "k" } },
        ] },
    });
    let selection = Selection {
        find: FindPolicy::Ignore,
        ..Selection::default()
    };
    let read = external_secret(&object(json), &selection).unwrap();
    assert_eq!(shown(&read), ["SecretStore/main k"]);
}

#[test]
fn no_shape_of_a_spec_is_an_error() {
    for spec in [
        json!(null),
        json!(7),
        json!([]),
        json!("x"),
        json!({"data": [null, [], 1]}),
    ] {
        assert_eq!(read(&spec).references, [], "{spec}");
    }
    // Nor of the metadata: it is ignored, and the list that it comes in goes on.
    for metadata in [
        json!({}),
        json!({ "name": 1, "annotations": [], "namespace": {} }),
    ] {
        let all = Selection::default();
        let nameless = object(json!({ "metadata": metadata, "spec": {} }));
        assert!(applied(ListKind::ExternalSecrets, &nameless, &all).is_none());
        assert!(applied(ListKind::SecretStores, &nameless, &all).is_none());
        assert!(deleted(ListKind::ClusterSecretStores, &nameless).is_none());
    }
}

#[test]
fn an_object_in_deletion_is_known_as_such() {
    let object = object(json!({
        "metadata": { "namespace": "team", "name": "db", "deletionTimestamp": "2026-01-01T00:00:00Z" },
    }));
    let read = external_secret(&object, &Selection::default()).unwrap();
    assert_eq!(read.refreshable, Refreshable::No(Unrefreshable::Deleting));
}

#[test]
fn only_a_controller_is_an_owner() {
    let reference = |version: &str, kind: &str, controller: Value| {
        json!([
            { "apiVersion": "v1", "kind": "ConfigMap", "name": "other", "controller": true },
            { "apiVersion": version, "kind": kind, "name": "db", "controller": controller },
        ])
    };
    let (v1, kind) = ("external-secrets.io/v1", "ClusterExternalSecret");
    for (references, owned) in [
        (reference(v1, kind, json!(true)), true),
        (
            reference("external-secrets.io/v1beta1", kind, json!(true)),
            true,
        ),
        (reference(v1, kind, json!(false)), false),
        (reference(v1, kind, json!(null)), false),
        (reference(v1, "ClusterPushSecret", json!(true)), false),
        (reference("example.com/v1", kind, json!(true)), false),
        (json!(null), false),
        (json!({}), false),
    ] {
        let json = json!({
            "metadata": { "namespace": "n", "name": "x", "ownerReferences": references }, "spec": {},
        });
        let read = external_secret(&object(json), &Selection::default()).unwrap();
        let expected = owned.then(|| ObjectRef::owner("db"));
        assert_eq!(read.owner, expected, "{references}");
    }
}

#[test]
fn an_owner_is_read_with_the_value_that_it_hands_down() {
    let annotations = json!({ crate::object::FORCE_SYNC_ANNOTATION: "0123456789abcdef0123" });
    let kind = ListKind::ClusterExternalSecrets;
    let json = json!({ "metadata": { "name": "db", "annotations": annotations } });
    match applied(kind, &object(json.clone()), &Selection::default()) {
        Some(Change::OwnerApplied { owner, value, .. }) => {
            assert_eq!((owner, value.is_some()), (ObjectRef::owner("db"), true));
        }
        other => panic!("{other:?}"),
    }
    let gone = deleted(kind, &object(json));
    assert!(matches!(gone, Some(Change::OwnerDeleted(owner)) if owner.is_owner()));
}

#[test]
fn only_our_own_values_are_carried() {
    let carried = |text: &str| {
        let annotations = json!({ crate::object::REFRESH_ANNOTATION: text });
        let json = json!({
            "metadata": { "namespace": "n", "name": "x", "annotations": annotations }, "spec": {},
        });
        external_secret(&object(json), &Selection::default())
            .unwrap()
            .value
    };
    assert!(carried("0123456789abcdef0123").is_some());
    assert_eq!(carried("yesterday"), None);
}

#[test]
fn a_store_is_read_with_its_provider() {
    let json = json!({
        "metadata": { "namespace": "team", "name": "s" }, "spec": { "provider": { "akeyless": {} } },
    });
    let provider = |kind| match applied(kind, &object(json.clone()), &Selection::default()) {
        Some(Change::StoreApplied(store)) => (store.name.kind(), store.backend),
        other => panic!("{other:?}"),
    };
    for kind in [ListKind::SecretStores, ListKind::ClusterSecretStores] {
        assert_eq!(provider(kind).1, Some(Backend::Akeyless));
    }
}

#[test]
fn what_eso_writes_is_read_where_workloads_are_watched() {
    let read = |spec: Value, status: Value, workloads| {
        let json = json!({ "metadata": { "namespace": "team", "name": "db" }, "spec": spec, "status": status });
        let selection = Selection {
            workloads,
            ..Selection::default()
        };
        match applied(ListKind::ExternalSecrets, &object(json), &selection) {
            Some(Change::Applied(read)) => read.writes,
            other => panic!("{other:?}"),
        }
    };
    let written = |spec: &Value, status: &Value| {
        let writes = read(spec.clone(), status.clone(), true);
        let values = writes.map(|writes| writes.values.as_ref().map(ToString::to_string));
        values.map(|values| values.unwrap_or_else(|| "nothing".to_owned()))
    };
    let target = |target: Value| json!({ "target": target });
    let bound = json!({ "binding": { "name": "bound" } });
    let manifest = |kind: &str, version: &str| json!({ "kind": kind, "apiVersion": version });
    for (spec, status, expected) in [
        (json!({}), json!({}), None),
        (target(json!({ "name": "" })), json!({}), None),
        (target(json!({ "name": "db" })), json!({}), None),
        (
            target(json!({ "name": "other" })),
            json!({}),
            Some("Secret/other"),
        ),
        (
            target(json!({ "name": "other" })),
            bound.clone(),
            Some("Secret/bound"),
        ),
        (json!({}), bound.clone(), Some("Secret/bound")),
        (
            target(json!({ "creationPolicy": "None" })),
            bound,
            Some("nothing"),
        ),
        (
            target(json!({ "creationPolicy": "Merge" })),
            json!({}),
            None,
        ),
        (
            target(json!({ "manifest": manifest("ConfigMap", "v1") })),
            json!({}),
            Some("ConfigMap/db"),
        ),
        (
            target(json!({ "name": "x", "manifest": manifest("ConfigMap", "v1") })),
            json!({}),
            Some("ConfigMap/x"),
        ),
        (
            target(json!({ "manifest": manifest("App", "x/v1") })),
            json!({}),
            Some("nothing"),
        ),
    ] {
        assert_eq!(
            written(&spec, &status).as_deref(),
            expected,
            "{spec} {status}"
        );
    }
    assert_eq!(
        read(target(json!({ "name": "other" })), json!({}), false),
        None
    );
}

#[test]
fn annotations_of_reloader_are_those_that_eso_writes_on_the_secret() {
    let (ignore, matching) = (
        "reloader.stakater.com/ignore",
        "reloader.stakater.com/match",
    );
    let flags = |own: Value, template: Value| {
        let metadata = json!({ "namespace": "team", "name": "db", "annotations": own });
        let target = json!({ "template": template });
        let object = object(json!({ "metadata": metadata, "spec": { "target": target } }));
        (object.reloader.ignored, object.reloader.matched)
    };
    let annotated = |annotations: Value| json!({ "metadata": { "annotations": annotations } });
    for (own, template, expected) in [
        (json!({}), json!(null), (false, false)),
        (json!({ ignore: "true" }), json!(null), (true, false)),
        (json!({ matching: "true" }), json!(null), (false, true)),
        (json!({ matching: "True" }), json!(null), (false, false)),
        (json!({ ignore: "true" }), json!({}), (false, false)),
        (
            json!({ ignore: "true" }),
            annotated(json!({ matching: "true" })),
            (false, true),
        ),
    ] {
        assert_eq!(
            flags(own.clone(), template.clone()),
            expected,
            "{own} {template}"
        );
    }
}
