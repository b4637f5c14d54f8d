use super::{
    kit::{assert_events, decode, ignored},
    *,
};

const EVENTS: &[u8] = include_bytes!("../fixtures/vault-events.json");

fn config() -> Value {
    json!({ "format": "vault-events" })
}

fn notification(kind: &str, metadata: &Value, mount: &str) -> Value {
    json!({ "id": "n-1", "type": "*", "data": {
        "event": { "metadata": metadata }, "event_type": kind, "namespace": "",
        "plugin_info": { "mount_path": mount },
    } })
}

#[test]
fn notifications_are_read_and_reads_are_left_out() {
    assert_events!("vault-events", decode(&config(), EVENTS));
    let Ok(Content::Events { ignored, .. }) = kit::content(&source(&config()), &[], EVENTS) else {
        panic!("no events");
    };
    assert_eq!(ignored, [(2, Irrelevant::Type)]);
}

#[test]
fn every_type_that_changes_a_secret_names_where_it_is_read() {
    for (kind, path, key, operation) in [
        ("kv-v1/write", "kv/a", "kv/a", Operation::Updated),
        ("kv-v1/delete", "kv/data/a", "kv/data/a", Operation::Deleted),
        (
            "kv-v2/data-write",
            "kv/data/a/b",
            "kv/data/a/b",
            Operation::Updated,
        ),
        (
            "kv-v2/data-patch",
            "kv/data/a",
            "kv/data/a",
            Operation::Updated,
        ),
        (
            "kv-v2/data-delete",
            "kv/data/a",
            "kv/data/a",
            Operation::Deleted,
        ),
        (
            "kv-v2/delete",
            "kv/delete/a",
            "kv/data/a",
            Operation::Deleted,
        ),
        (
            "kv-v2/undelete",
            "kv/undelete/a",
            "kv/data/a",
            Operation::Restored,
        ),
        (
            "kv-v2/destroy",
            "kv/destroy/a",
            "kv/data/a",
            Operation::Deleted,
        ),
        (
            "kv-v2/metadata-write",
            "kv/metadata/a",
            "kv/data/a",
            Operation::Metadata,
        ),
        (
            "kv-v2/metadata-delete",
            "kv/metadata/a",
            "kv/data/a",
            Operation::Deleted,
        ),
        // Old versions tell the path from the mount on, and not whether something was modified.
        (
            "kv-v2/data-write",
            "data/a",
            "kv/data/a",
            Operation::Updated,
        ),
        (
            "kv-v2/destroy",
            "destroy/a",
            "kv/data/a",
            Operation::Deleted,
        ),
        ("kv-v1/write", "a", "kv/a", Operation::Updated),
    ] {
        for metadata in [
            json!({ "path": path }),
            json!({ "path": path, "modified": "true" }),
        ] {
            let body = notification(kind, &metadata, "kv/").to_string();
            let events = decode(&config(), body.as_bytes()).unwrap();
            assert_eq!(
                (events[0].matches.keys(), events[0].operation),
                (&[key.to_owned()][..], operation),
                "{kind} {path}"
            );
        }
    }
}

#[test]
fn a_mount_may_be_called_like_an_area() {
    for (path, key) in [("data/data/a", "data/data/a"), ("data/a", "data/data/a")] {
        let body = notification("kv-v2/data-write", &json!({ "path": path }), "data/").to_string();
        assert_eq!(
            decode(&config(), body.as_bytes()).unwrap()[0]
                .matches
                .keys(),
            [key]
        );
    }
}

#[test]
fn what_changes_no_secret_is_irrelevant() {
    let path = json!({ "path": "kv/data/a", "modified": "true" });
    let unchanged = json!({ "path": "kv/data/a", "modified": "false" });
    for body in [
        notification("kv-v2/data-read", &path, "kv/"),
        notification("kv-v2/config-write", &json!({}), "kv/"),
        notification("database/rotate", &path, "database/"),
        notification("kv-v2/data-write", &unchanged, "kv/"),
    ] {
        assert_eq!(
            ignored(&config(), &[], body.to_string().as_bytes()),
            ["type"],
            "{body}"
        );
    }
    assert_eq!(ignored(&config(), &[], b"[]"), ["empty"]);
}

#[test]
fn an_id_is_the_same_when_the_bridge_sends_again() {
    let ids = || -> Vec<String> {
        decode(&config(), EVENTS)
            .unwrap()
            .into_iter()
            .map(|event| event.id)
            .collect()
    };
    assert_eq!(
        (ids(), ids()),
        (
            ids(),
            vec![
                "901f2388-aabb-a385-7bc0-0b09d5fa060a".to_owned(),
                "b2".to_owned()
            ]
        )
    );
}

#[test]
fn what_is_malformed_is_named() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = notification("kv-v2/delete", &json!({ "path": "kv/delete/a" }), "kv/");
        change(&mut body);
        body.to_string()
    };
    for (body, expected) in [
        (
            with(&|body| body["data"] = json!("do-not-leak")),
            "data is not an object",
        ),
        (with(&|body| body["data"] = Value::Null), "data is missing"),
        (
            with(&|body| body["data"]["event_type"] = Value::Null),
            "data.event_type is missing",
        ),
        (
            with(&|body| body["data"]["event"] = Value::Null),
            "data.event.metadata is missing",
        ),
        (
            with(&|body| body["data"]["event"]["metadata"] = json!({})),
            "data.event.metadata.path is missing",
        ),
        (
            with(&|body| body["data"]["event"]["metadata"]["modified"] = json!(true)),
            "data.event.metadata.modified is neither a string nor a number",
        ),
        (
            with(&|body| body["data"]["namespace"] = json!(["do-not-leak"])),
            "data.namespace is neither a string nor a number",
        ),
    ] {
        let error = decode(&config(), body.as_bytes());
        assert_eq!(
            error,
            Err(malformed(format!("element 0: {expected}"))),
            "{body}"
        );
    }
}
