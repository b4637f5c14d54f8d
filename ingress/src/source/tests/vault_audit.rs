use super::{
    kit::{assert_events, decode, ignored, left_out},
    *,
};

const ONE: &[u8] = include_bytes!("../fixtures/vault-audit-openbao.json");
const LINES: &[u8] = include_bytes!("../fixtures/vault-audit-lines.json");

fn config() -> Value {
    json!({ "format": "vault-audit", "provider": "openbao" })
}

/// A response to a write at this path, with other fields of the request instead of these.
fn entry(path: &str, other: &Value) -> String {
    let mut request =
        json!({ "id": "r-1", "operation": "update", "mount_type": "kv", "path": path });
    for (field, value) in other.as_object().unwrap() {
        request[field] = value.clone();
    }
    json!({ "type": "response", "request": request }).to_string()
}

fn keys(path: &str, other: &Value) -> Vec<String> {
    let events = decode(&config(), entry(path, other).as_bytes()).unwrap();
    events[0].matches.keys().to_vec()
}

#[test]
fn an_entry_alone_is_read_as_openbao_sends_it() {
    assert_events!("vault-audit-openbao", decode(&config(), ONE));
}

#[test]
fn lines_of_entries_are_read_and_what_changes_nothing_is_left_out() {
    assert_events!("vault-audit-lines", decode(&config(), LINES));
    let Ok(Content::Events { ignored, .. }) = kit::content(&source(&config()), &[], LINES) else {
        panic!("no events");
    };
    assert_eq!(
        ignored,
        [
            (0, Irrelevant::Type),
            (2, Irrelevant::Read),
            (5, Irrelevant::Failed)
        ]
    );
}

#[test]
fn entries_in_an_array_in_lines_and_without_any_space_are_the_same() {
    let (one, two) = (entry("kv/a", &json!({})), entry("kv/b", &json!({})));
    for body in [
        format!("[{one},{two}]"),
        format!("{one}\n{two}\n"),
        format!("{one}{two}"),
        format!("[{one}]\r\n\r\n[{two}]"),
    ] {
        let events = decode(&config(), body.as_bytes()).unwrap();
        let found: Vec<_> = events
            .iter()
            .map(|event| (&*event.id, event.matches.keys()))
            .collect();
        assert_eq!(
            found,
            [
                ("r-1/0", &["kv/a".to_owned()][..]),
                ("r-1/1", &["kv/b".to_owned()])
            ],
            "{body}"
        );
    }
}

#[test]
fn an_id_is_the_same_when_the_device_sends_again() {
    let id = || decode(&config(), ONE).unwrap()[0].id.clone();
    assert_eq!(
        (id(), id()),
        (id(), "c85c8c0a-fe1e-1905-3969-05389499a36e".to_owned())
    );
}

#[test]
fn all_that_is_done_to_a_secret_of_version_2_bears_the_name_it_is_read_by() {
    let mount = json!({ "mount_point": "team/kv/" });
    for (path, expected) in [
        ("team/kv/data/a/b", &["team/kv/data/a/b"][..]),
        (
            "team/kv/metadata/a",
            &["team/kv/data/a", "team/kv/metadata/a"],
        ),
        ("team/kv/delete/a", &["team/kv/data/a", "team/kv/delete/a"]),
        (
            "team/kv/undelete/a",
            &["team/kv/data/a", "team/kv/undelete/a"],
        ),
        (
            "team/kv/destroy/a",
            &["team/kv/data/a", "team/kv/destroy/a"],
        ),
        ("team/kv/a", &["team/kv/a"]),
        ("team/kv/a/metadata/b", &["team/kv/a/metadata/b"]),
    ] {
        assert_eq!(keys(path, &mount), expected, "{path}");
    }
    // Where the mount is unknown, it ends before the first name of an area.
    assert_eq!(
        keys("team/kv/destroy/a", &json!({})),
        ["team/kv/data/a", "team/kv/destroy/a"]
    );
}

#[test]
fn what_was_done_is_told() {
    for (operation, path, expected) in [
        ("create", "kv/data/a", Operation::Created),
        ("update", "kv/data/a", Operation::Updated),
        ("patch", "kv/data/a", Operation::Updated),
        ("delete", "kv/data/a", Operation::Deleted),
        ("delete", "kv/a", Operation::Deleted),
        ("update", "kv/delete/a", Operation::Deleted),
        ("update", "kv/destroy/a", Operation::Deleted),
        ("update", "kv/undelete/a", Operation::Restored),
        ("update", "kv/metadata/a", Operation::Metadata),
        ("delete", "kv/metadata/a", Operation::Deleted),
    ] {
        let body = entry(
            path,
            &json!({ "operation": operation, "mount_point": "kv/" }),
        );
        let events = decode(&config(), body.as_bytes()).unwrap();
        assert_eq!(events[0].operation, expected, "{operation} {path}");
    }
}

#[test]
fn a_mount_is_called_as_in_its_namespace() {
    for (point, namespace, path, mount, space) in [
        (
            "kv/",
            json!({ "id": "root" }),
            "kv/data/a",
            "kv",
            Some("root"),
        ),
        (
            "blue/kv/",
            json!({ "id": "x", "path": "blue/" }),
            "kv/data/a",
            "kv",
            Some("blue"),
        ),
        (
            "a/b/kv/",
            json!({ "id": "x", "path": "a/b/" }),
            "kv/data/a",
            "kv",
            Some("a/b"),
        ),
        (
            "blue/blue/",
            json!({ "id": "x", "path": "blue/" }),
            "blue/data/a",
            "blue",
            Some("blue"),
        ),
        // A mount that is called like its namespace, without the namespace before it.
        (
            "blue/kv/",
            json!({ "id": "x", "path": "blue/" }),
            "blue/kv/a",
            "blue/kv",
            Some("blue"),
        ),
        ("kv/", json!({ "id": "x" }), "kv/data/a", "kv", None),
        ("kv/", Value::Null, "kv/data/a", "kv", None),
    ] {
        let body = entry(
            path,
            &json!({ "mount_point": point, "namespace": namespace }),
        );
        let scope = decode(&config(), body.as_bytes()).unwrap().remove(0).scope;
        let found = (
            scope.get("mount").map(String::as_str),
            scope.get("namespace").map(String::as_str),
        );
        assert_eq!(found, (Some(mount), space), "{point} {namespace}");
    }
}

#[test]
fn without_a_type_of_the_mount_all_but_vaults_own_counts() {
    let old = json!({ "mount_type": null });
    assert_eq!(keys("kv/a", &old), ["kv/a"]);
    assert_eq!(keys("system/a", &old), ["system/a"]);
    for path in [
        "sys/mounts/kv",
        "auth/token/create",
        "identity/entity",
        "cubbyhole/a",
    ] {
        assert_eq!(
            ignored(&config(), &[], entry(path, &old).as_bytes()),
            ["type"],
            "{path}"
        );
    }
}

#[test]
fn what_changes_no_secret_is_irrelevant() {
    let request = |other: Value| entry("kv/a", &other);
    for (body, reason) in [
        (request(json!({ "mount_type": "transit" })), "type"),
        (request(json!({ "operation": "read" })), "read"),
        (request(json!({ "operation": "list", "path": 7 })), "read"),
        (request(json!({ "operation": "renew" })), "type"),
        (r#"{"type":"request"}"#.to_owned(), "type"),
        (
            r#"{"type":"response","error":"denied","request":{"operation":"update"}}"#.to_owned(),
            "failed",
        ),
        ("[]".to_owned(), "empty"),
        (" \n".to_owned(), "empty"),
    ] {
        assert_eq!(ignored(&config(), &[], body.as_bytes()), [reason], "{body}");
    }
}

#[test]
fn a_malformed_entry_is_left_out_and_named() {
    let good = entry("kv/a", &json!({}));
    for (bad, expected) in [
        (r#"{"request":{}}"#.to_owned(), "type is missing"),
        (r#"{"type":"response"}"#.to_owned(), "request is missing"),
        (
            entry("kv/a", &json!({ "operation": null })),
            "request.operation is missing",
        ),
        (entry("", &json!({})), "request.path: key 0 is empty"),
        (
            entry("kv/a", &json!({ "path": null })),
            "request.path is missing",
        ),
        (
            entry("kv/a", &json!({ "mount_point": ["do-not-leak"] })),
            "request.mount_point is neither a string nor a number",
        ),
        (
            entry(
                "kv/a",
                &json!({ "namespace": { "path": "do\u{7}not-leak" } }),
            ),
            "request.namespace.path is not a name of at most 1024 bytes without control characters",
        ),
    ] {
        let body = format!("{good}\n{bad}");
        assert_eq!(
            left_out(&config(), &[], body.as_bytes()),
            [format!("element 1: {expected}")],
            "{bad}"
        );
    }
}

#[test]
fn what_is_not_json_is_named_by_its_line() {
    for (body, line) in [
        ("nonsense", 1),
        ("{] {", 1),
        ("\n\n{]", 3),
        ("[{},\n\u{0}]", 2),
    ] {
        let error = decode(&config(), body.as_bytes()).unwrap_err();
        let DecodeError::NotJson { line: found, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(found, line, "{body}");
    }
}

#[test]
fn too_many_lines_are_refused() {
    let body = "{}\n".repeat(MAX_ELEMENTS + 1);
    assert_eq!(
        decode(&config(), body.as_bytes()),
        Err(DecodeError::TooMany(MAX_ELEMENTS + 1))
    );
}
