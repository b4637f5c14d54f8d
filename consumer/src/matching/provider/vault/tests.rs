use serde_json::json;

use super::*;
use crate::matching::provider::tests::{finds, finds_below, finds_in_scope, reads};

/// Most cases are those of ESO's own table (`client_get_test.go`, `TestVaultBuildPath`).
#[test]
fn a_key_leads_where_eso_reads_it() {
    for (path, version, key, address) in [
        (Some("secret"), "v2", "foo", "secret/data/foo"),
        (Some("secret"), "v2", "secret/foo", "secret/data/foo"),
        (Some("secret"), "v2", "secret/data/foo", "secret/data/foo"),
        (Some("secret"), "v2", "data/foo", "secret/data/data/foo"),
        (Some("secret"), "v2", "/foo", "secret/data/foo"),
        (
            Some("secret"),
            "v2",
            "secret2/foo",
            "secret/data/secret2/foo",
        ),
        (Some("secret/path"), "v2", "test", "secret/path/data/test"),
        (
            Some("secret/path"),
            "v2",
            "path/test",
            "secret/path/data/path/test",
        ),
        (
            Some("secret/path"),
            "v2",
            "secret/path/test",
            "secret/path/data/test",
        ),
        (
            Some("secret/path"),
            "v2",
            "secret/path/data/test",
            "secret/path/data/test",
        ),
        (
            Some("secret/path"),
            "v1",
            "secret/path/test",
            "secret/path/test",
        ),
        (Some("secret/path"), "v1", "test", "secret/path/test"),
        (None, "v2", "secret/test", "secret/data/test"),
        (
            None,
            "v2",
            "secret/test/big/path",
            "secret/data/test/big/path",
        ),
        (None, "v2", "secret/path/data/test", "secret/path/data/test"),
        (None, "v1", "secret/path/test", "secret/path/test"),
    ] {
        let store = Vault::of(&json!({ "path": path, "version": version }));
        assert_eq!(store.address(key), address, "{path:?} {version} {key}");
    }
    assert_eq!(Vault::of(&json!({})).address("secret/a"), "secret/data/a");
    for (spec, key, address) in [
        (json!({}), "foo", "kv/data/foo"),
        (json!({}), "kv/foo", "kv/data/kv/foo"),
        (
            json!({ "path": "team/kv", "version": "v1" }),
            "a/b",
            "team/kv/a/b",
        ),
    ] {
        assert_eq!(Vault::openbao(&spec).address(key), address, "{spec} {key}");
    }
}

#[test]
fn mount_namespace_and_server_distinguish_secrets() {
    let keys = &["secret/data/app/db"][..];
    let place = |namespace| {
        [
            ("namespace", namespace),
            ("mount", "secret"),
            ("host", "vault.example.com"),
        ]
    };
    let (root, team, deep) = (place("root"), place("team"), place("org/team"));
    for (settings, key, scope, read) in [
        (r#""path": "secret""#, "app/db", &root, true),
        (r#""path": "secret""#, "app", &root, false),
        (r#""path": "kv""#, "app/db", &root, false),
        (
            r#""path": "secret", "version": "v1""#,
            "app/db",
            &root,
            false,
        ),
        ("", "secret/app/db", &root, true),
        (
            r#""server": "https://vault.example.com:8200""#,
            "secret/app/db",
            &root,
            true,
        ),
        (
            r#""server": "https://vault.example.org""#,
            "secret/app/db",
            &root,
            false,
        ),
        (
            r#""path": "secret", "namespace": "team/""#,
            "app/db",
            &team,
            true,
        ),
        (
            r#""path": "secret", "namespace": "team""#,
            "app/db",
            &root,
            false,
        ),
        (
            r#""path": "secret", "namespace": "other""#,
            "app/db",
            &team,
            false,
        ),
        (
            r#""path": "secret", "namespace": "root""#,
            "app/db",
            &team,
            false,
        ),
        // A namespace in the path.
        (r#""path": "team/secret""#, "app/db", &team, true),
        (r#""path": "other/secret""#, "app/db", &team, false),
        (
            r#""path": "team/secret", "namespace": "org""#,
            "app/db",
            &deep,
            true,
        ),
        (
            r#""path": "org/team/secret", "namespace": "root""#,
            "app/db",
            &deep,
            true,
        ),
        // Its namespace is not known: the environment may hold it.
        (r#""path": "secret""#, "app/db", &team, true),
    ] {
        let spec = format!(r#"{{"vault": {{{settings}}}}}"#);
        for event in ["vault", "openbao"] {
            let found = reads(&spec, key, (event, keys, scope));
            assert_eq!(found, read, "{spec} {key} {scope:?}");
        }
    }
    let event = ("openbao", &["kv/data/app/db"][..], &[][..]);
    assert!(reads(r#"{"openBao": {}}"#, "app/db", event));
    assert!(!reads(r#"{"openBao": {}}"#, "kv/app/db", event));
}

#[test]
fn a_find_goes_by_the_path_from_the_mount_on() {
    let event = ("vault", &["secret/data/team/app/db"][..], &[][..]);
    for (settings, path, regexp, found) in [
        (r#""path": "secret""#, None, Some("^team/app/db$"), true),
        (r#""path": "secret""#, None, Some("^db$"), false),
        (r#""path": "secret""#, Some("team"), Some("^team/app"), true),
        (r#""path": "secret""#, Some("team"), Some("^app"), false),
        (
            r#""path": "secret""#,
            Some("secret/team"),
            Some("^secret/team/app"),
            true,
        ),
        (r#""path": "secret""#, Some("tea"), None, false),
        (r#""path": "secret""#, Some("other"), Some("db"), false),
        (r#""path": "kv""#, None, Some("db"), false),
        ("", Some("secret/data/team"), Some("app/db$"), true),
        ("", None, Some("unknown"), true),
    ] {
        let spec = format!(r#"{{"vault": {{{settings}}}}}"#);
        assert_eq!(
            finds(&spec, path, regexp, event),
            found,
            "{spec} {path:?} {regexp:?}"
        );
    }
}

#[test]
fn a_find_without_a_mount_may_begin_at_the_root_of_one() {
    let spec = r#"{"vault": {}}"#;
    for (path, regexp, key, found) in [
        ("secret/data", None, "secret/data/db", true),
        ("secret/data", None, "secret/data/team/db", true),
        (
            "secret/data",
            Some("^secret/data/team/"),
            "secret/data/team/db",
            true,
        ),
        ("secret/data", Some("^team/"), "secret/data/team/db", false),
        ("secret/data", None, "kv/data/db", false),
        ("secret/data", None, "secret/data/data/db", true),
        ("secret/data/", None, "secret/data/db", true),
        ("team/kv/data", None, "team/kv/data/db", true),
        ("team/kv/data", None, "team/data/kv/db", false),
        ("secret/data/team", None, "secret/data/team/db", true),
        ("secret/data/team", None, "secret/data/db", false),
    ] {
        let event = ("vault", &[key][..], &[][..]);
        let hit = finds(spec, Some(path), regexp, event);
        assert_eq!(hit, found, "{path} {regexp:?} {key}");
    }
    // Everything in a mount, and everything below a path.
    for (mount, found) in [("secret", true), ("kv", false)] {
        let event = ("vault", &[][..], &[("mount", mount)][..]);
        let hit = finds_in_scope(spec, Some("secret/data"), event);
        assert_eq!(hit, found, "{mount}");
    }
    for (prefix, below) in [
        ("secret", true),
        ("secret/data/team", true),
        ("secret/team", true),
        ("kv", false),
    ] {
        let event = ("vault", prefix);
        let hit = finds_below(spec, Some("secret/data"), event);
        assert_eq!(hit, below, "{prefix}");
    }
}

#[test]
fn find_that_repeats_the_mount_has_two_folders() {
    let spec = r#"{"vault": {"path": "team"}}"#;
    for (key, found) in [
        ("team/data/team/db", true),
        ("team/data/db", true),
        ("team/data/other/db", true),
        ("kv/data/team/db", false),
    ] {
        let event = ("vault", &[key][..], &[][..]);
        assert_eq!(finds(spec, Some("team"), None, event), found, "{key}");
    }
}

#[test]
fn a_find_of_openbao_goes_by_the_bare_name_in_one_folder() {
    let spec = r#"{"openBao": {"path": "kv"}}"#;
    for (key, path, regexp, found) in [
        ("kv/data/db", None, "^db$", true),
        ("kv/data/team/db", None, "db", false),
        ("kv/data/team/db", Some("team"), "^db$", true),
        ("kv/data/db", Some("team"), "^db$", true),
        ("kv/data/team/db", Some("team"), "^team", false),
    ] {
        let event = ("openbao", &[key][..], &[][..]);
        assert_eq!(
            finds(spec, path, Some(regexp), event),
            found,
            "{key} {path:?} {regexp}"
        );
    }
}

#[test]
fn a_person_may_leave_data_out() {
    let spec = r#"{"vault": {"path": "team/kv"}}"#;
    let mount = &[("mount", "team/kv")][..];
    for (key, scope, read) in [
        ("team/kv/data/app/db", &[][..], true),
        ("team/kv/app/db", mount, true),
        ("/team/kv/data/app/db", mount, true),
        // Where the mount ends is not known.
        ("team/kv/app/db", &[], true),
        ("kv/app/db", &[], false),
        ("team/kv/app/db", &[("mount", "team")], false),
    ] {
        let found = reads(spec, "app/db", ("vault", &[key], scope));
        assert_eq!(found, read, "{key} {scope:?}");
    }
    let event = ("vault", &["kv/app/db"][..], &[][..]);
    assert!(reads(r#"{"vault": {"path": "kv"}}"#, "app/db", event));
}

#[test]
fn no_key_has_more_names_than_it_has_use_for() {
    let deep = "a/".repeat(1000);
    let scope = [("namespace".to_owned(), deep.clone())].into();
    let mut names = Vec::new();
    query_names(&deep, Scope(&scope), &mut names);
    assert!(
        names.len() <= (DEEPEST + 1) * (DEEPEST + 2),
        "{}",
        names.len()
    );
}
