use serde_json::json;

use super::*;

fn read(json: Value) -> Option<Unrefreshable> {
    unrefreshable(
        &serde_json::from_value(json).unwrap(),
        &Selection::default(),
    )
}

#[test]
fn every_policy_is_told_apart() {
    use Unrefreshable::{CreatedOnce, Immutable, IntervalZero};
    let synced = status("SecretSynced");
    let bound = json!({ "binding": { "name": "db" } });
    let cases = [
        (json!({}), json!({}), None),
        (json!({ "refreshPolicy": "Periodic" }), json!({}), None),
        (json!({ "refreshPolicy": "OnChange" }), json!({}), None),
        (
            json!({ "refreshPolicy": "CreatedOnce" }),
            synced.clone(),
            Some(CreatedOnce),
        ),
        (
            json!({ "refreshPolicy": "CreatedOnce", "refreshInterval": "1h" }),
            synced.clone(),
            Some(CreatedOnce),
        ),
        (json!({ "refreshInterval": "1h0m0s" }), json!({}), None),
        (
            json!({ "refreshInterval": "0" }),
            synced.clone(),
            Some(IntervalZero),
        ),
        (
            json!({ "refreshInterval": "0s" }),
            synced.clone(),
            Some(IntervalZero),
        ),
        (
            json!({ "refreshInterval": "0h0m0s" }),
            synced.clone(),
            Some(IntervalZero),
        ),
        (
            json!({ "refreshPolicy": "Periodic", "refreshInterval": "0s" }),
            synced.clone(),
            Some(IntervalZero),
        ),
        (
            json!({ "refreshPolicy": "OnChange", "refreshInterval": "0s" }),
            synced.clone(),
            None,
        ),
        // Without a Secret, the next one that ESO makes has the value of today.
        (json!({ "target": { "immutable": true } }), json!({}), None),
        (
            json!({ "target": { "immutable": true } }),
            json!({ "refreshTime": null, "binding": { "name": "" } }),
            None,
        ),
        (
            json!({ "target": { "immutable": true } }),
            synced.clone(),
            Some(Immutable),
        ),
        (
            json!({ "target": { "immutable": true } }),
            bound,
            Some(Immutable),
        ),
        (json!({ "target": { "immutable": false } }), synced, None),
        // What cannot be understood is tried.
        (
            json!({ "refreshPolicy": 7, "refreshInterval": 0, "target": [] }),
            json!("text"),
            None,
        ),
        (json!({ "refreshInterval": "soon" }), json!([]), None),
        (json!(null), json!(null), None),
    ];
    for (spec, status, expected) in cases {
        let json = json!({ "metadata": {}, "spec": spec, "status": status });
        assert_eq!(read(json), expected, "{spec} {status}");
    }
}

/// After a sync that ended with this reason.
fn status(reason: &str) -> Value {
    json!({
        "refreshTime": "2026-01-01T00:00:00Z",
        "syncedResourceVersion": "1-0",
        "conditions": [{ "type": "Ready", "status": "True", "reason": reason }],
    })
}

#[test]
fn a_first_sync_ignores_policies() {
    use Unrefreshable::{CreatedOnce, Immutable, IntervalZero};
    let policies = [
        (json!({ "refreshPolicy": "CreatedOnce" }), CreatedOnce),
        (json!({ "refreshInterval": "0s" }), IntervalZero),
        (json!({ "target": { "immutable": true } }), Immutable),
    ];
    let without = |field: &str| {
        let mut status = status("SecretSynced");
        status[field] = json!(null);
        status
    };
    for (spec, reason) in policies {
        let found = |status: &Value| {
            let json = json!({ "metadata": {}, "spec": spec, "status": status });
            read(json)
        };
        assert_eq!(found(&status("SecretSynced")), Some(reason));
        for gone in [
            "SecretDeleted",
            "SecretMissing",
            "ResourceDeleted",
            "ResourceMissing",
        ] {
            assert_eq!(found(&status(gone)), None, "{reason} {gone}");
        }
        assert_eq!(found(&json!({})), None, "{reason}");
        // Of an immutable target it only counts whether its Secret is there.
        let unsynced = found(&without("syncedResourceVersion"));
        assert_eq!(unsynced.is_none(), reason != Immutable, "{reason}");
        // `shouldRefreshPeriodic` does not look at it before the interval.
        let unread = found(&without("refreshTime"));
        assert_eq!(unread.is_none(), reason != IntervalZero, "{reason}");
    }
}

#[test]
fn immutable_is_said_of_secrets_only() {
    let target = json!({ "immutable": true, "manifest": { "kind": "ConfigMap" } });
    let json = json!({
        "metadata": {},
        "spec": { "target": target },
        "status": status("ResourceSynced"),
    });
    assert_eq!(read(json), None);
}

#[test]
fn a_policy_is_overruled_where_that_is_asked_for() {
    use ForcePolicy::{CreatedOnce, IntervalZero};
    let once = json!({ "refreshPolicy": "CreatedOnce" });
    let zero = json!({ "refreshInterval": "0" });
    let on_change = json!({ "refreshInterval": "0", "refreshPolicy": "OnChange" });
    for (spec, force, annotation, skipped, forced) in [
        (&once, &[][..], "false", true, false),
        (&once, &[CreatedOnce], "", false, true),
        (&once, &[IntervalZero], "", true, false),
        (&once, &[], "true", false, true),
        (&zero, &[CreatedOnce, IntervalZero], "", false, true),
        (&zero, &[], "true", false, true),
        (&on_change, &[IntervalZero], "true", false, false),
    ] {
        let annotations = json!({ crate::object::FORCE_ANNOTATION: annotation });
        let object = |status: Value| -> Object {
            let metadata = json!({ "annotations": annotations });
            let json = json!({ "metadata": metadata, "spec": spec, "status": status });
            serde_json::from_value(json).unwrap()
        };
        let (object, new) = (object(status("SecretSynced")), object(Value::Null));
        let selection = Selection {
            force: force.to_vec(),
            ..Selection::default()
        };
        let found = unrefreshable(&object, &selection).is_some();
        assert_eq!(found, skipped, "{spec} {force:?} {annotation}");
        assert_eq!(is_forced(&object, &selection), forced, "{spec} {force:?}");
        // ESO may have synced it for the first time, which the watch has not shown yet.
        assert_eq!(unrefreshable(&new, &selection), None, "{spec} {force:?}");
        assert_eq!(is_forced(&new, &selection), forced, "{spec} {force:?}");
    }
}

#[test]
fn an_owner_opts_out_by_an_annotation() {
    for (value, ignored) in [
        (json!("true"), true),
        (json!("false"), false),
        (json!(""), false),
        (json!(true), false),
    ] {
        let annotations = json!({ crate::object::IGNORE_ANNOTATION: value });
        let found = read(json!({ "metadata": { "annotations": annotations } }));
        assert_eq!(found == Some(Unrefreshable::Ignored), ignored, "{value}");
    }
}

#[test]
fn a_deleting_object_is_skipped() {
    let json = json!({
        "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" },
        "spec": { "refreshPolicy": "CreatedOnce" },
    });
    assert_eq!(read(json), Some(Unrefreshable::Deleting));
}

#[test]
fn an_object_that_is_not_selected_is_not_refreshed() {
    let selection = Selection {
        labels: "team=a".parse().unwrap(),
        ..Selection::default()
    };
    for (labels, selected) in [
        (json!({ "team": "a", "x": "y" }), true),
        (json!({ "team": "b" }), false),
        (json!({ "team": 7 }), false),
        (json!(null), false),
        (json!([]), false),
    ] {
        let json = json!({ "metadata": { "labels": labels } });
        let found = unrefreshable(&serde_json::from_value(json).unwrap(), &selection);
        assert_eq!(found.is_none(), selected, "{labels}");
        assert!(found.is_none_or(|reason| reason == Unrefreshable::NotSelected));
    }
}

#[test]
fn what_has_a_generator_is_refreshed_as_the_policy_says() {
    use GeneratorPolicy::{Always, Keys, Never};
    let generator = json!({ "sourceRef": { "generatorRef": { "kind": "Password", "name": "p" } } });
    let (find, no) = (
        json!({ "find": {} }),
        Refreshable::No(Unrefreshable::Generator),
    );
    let with = json!({ "dataFrom": [find, generator] });
    let once = json!({ "dataFrom": [generator], "refreshPolicy": "CreatedOnce" });
    for (spec, policy, expected) in [
        (&with, Keys, Refreshable::ByKey),
        (&with, Always, Refreshable::Yes),
        (&with, Never, no),
        // A reason that holds for every setting is reported first.
        (&once, Never, Refreshable::No(Unrefreshable::CreatedOnce)),
        (&json!({ "dataFrom": [find] }), Never, Refreshable::Yes),
        // ESO does not run that one.
        (&json!({ "data": [generator] }), Never, Refreshable::Yes),
        (&json!({ "dataFrom": generator }), Never, Refreshable::Yes),
        (&json!({ "dataFrom": [7, null] }), Never, Refreshable::Yes),
    ] {
        let selection = Selection {
            generators: policy,
            ..Selection::default()
        };
        let status = status("SecretSynced");
        let json = json!({ "metadata": {}, "spec": spec, "status": status });
        let found = refreshable(&serde_json::from_value(json).unwrap(), &selection);
        assert_eq!(found, expected, "{spec} {policy:?}");
    }
}

#[test]
fn a_store_of_another_class_is_foreign() {
    for (ours, class, foreign) in [
        (&[][..], json!("other"), false),
        (&["default"], json!("other"), true),
        (&["default"], json!("default"), false),
        (&["default", "other"], json!("other"), false),
        (&["default"], json!(""), false),
        (&["default"], json!(null), false),
        (&["default"], json!(7), false),
    ] {
        let selection = Selection {
            controller_classes: ours.iter().map(|&class| class.to_owned()).collect(),
            ..Selection::default()
        };
        let json = json!({ "metadata": {}, "spec": { "controller": class } });
        let object = serde_json::from_value(json).unwrap();
        let found = admits(&object, false, &selection).foreign;
        assert_eq!(found, foreign, "{ours:?} {class}");
    }
}

#[test]
fn malformed_conditions_admit_all() {
    let read = |conditions: &Value, is_cluster_store| {
        let json = json!({ "metadata": {}, "spec": { "conditions": conditions } });
        let object = serde_json::from_value(json).unwrap();
        admits(&object, is_cluster_store, &Selection::default()).namespaces
    };
    let conditions = json!([
        { "namespaces": ["a", "b"] },
        { "namespaceRegexes": ["^c"], "namespaces": ["d"], "namespaceSelector": null },
        { "namespaceSelector": { "matchLabels": { "team": "a" } } },
        {},
    ]);
    let expected = Admitted {
        names: ["a", "b", "d"].map(str::to_owned).to_vec(),
        regexes: vec!["^c".to_owned()],
        selectors: vec!["team=a".parse().unwrap()],
    };
    assert_eq!(read(&conditions, true), Some(expected));
    assert_eq!(read(&conditions, false), None, "a SecretStore has none");
    assert_eq!(read(&json!([{}]), true), Some(Admitted::default()));
    for open in [
        json!(null),
        json!([]),
        json!({}),
        json!([{ "namespaces": ["a"] }, { "namespaceSelector": { "matchLabels": ["team"] } }]),
        json!([{ "namespaces": "a" }]),
        json!([{ "namespaces": [7] }]),
        json!(["a"]),
    ] {
        assert_eq!(read(&open, true), None, "{open}");
    }
}

#[test]
fn a_duration_is_read_as_go_does() {
    for zero in [
        "0", "+0", "-0", "0s", "0h0m0s", "-1h", "0.0s", ".0s", "0.5ns", "-1m30s", "0ms", "0µs",
    ] {
        assert!(never_elapses(zero), "{zero}");
    }
    for other in [
        "1h",
        "1h0m0s",
        "0h0m1s",
        "1ns",
        "0.5us",
        "1.5h",
        ".5s",
        "5.s",
        "+1m",
        "1us",
        "1µs",
        "1μs",
        "99999999999999999999h",
        // None of these is a duration.
        "",
        "-",
        "+",
        "00",
        "0x",
        "s",
        ".s",
        "1",
        "0d",
        "0s ",
        " 0s",
        "0s,",
        "--0s",
        "0.0.0s",
        "1e3s",
        "infs",
        "é",
    ] {
        assert!(!never_elapses(other), "{other}");
    }
}

proptest::proptest! {
    #[test]
    fn no_interval_panics(text in "[-+.0-9hmsuµnx ]{0,8}") {
        never_elapses(&text);
    }
}
