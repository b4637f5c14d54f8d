//! Which references are listed for pollers.

use serde_json::json;

use super::*;
use crate::object::{Refreshable, Unrefreshable};

/// Everything that is read, as `host namespace path`, with `-` for what is not known.
fn listed(index: &Index) -> Vec<String> {
    let (mut listed, mut from) = (Vec::new(), Place::START);
    loop {
        let Part { paths, next } = index.watched(from);
        listed.extend(paths.iter().map(|it| {
            let or = |part: &Option<String>| part.clone().unwrap_or_else(|| "-".to_owned());
            format!("{} {} {}", or(&it.host), or(&it.namespace), it.path)
        }));
        let Some(next) = next else { break };
        from = next;
    }
    listed.sort();
    listed
}

fn versioned(store: &StoreRef, name: &str, version: &str) -> Reference {
    Reference {
        version: Some(version.to_owned()),
        ..key(store, name)
    }
}

#[test]
fn a_key_is_listed_as_its_path() {
    let s = store("n", "s");
    for (provider, reference, path) in [
        (
            json!({ "vault": { "path": "secret" } }),
            key(&s, "app/db"),
            Some("- - secret/data/app/db"),
        ),
        (
            json!({ "vault": { "server": "https://Vault.example.com:8200", "namespace": "/team/", "path": "kv", "version": "v2" } }),
            key(&s, "kv/app"),
            Some("vault.example.com team kv/data/app"),
        ),
        (
            json!({ "vault": { "namespace": "root" } }),
            key(&s, "secret/app"),
            Some("- - secret/data/app"),
        ),
        (
            json!({ "openBao": { "server": "http://bao" } }),
            key(&s, "app"),
            Some("bao - kv/data/app"),
        ),
        // Fixed; OpenBao's provider reads the newest all the same.
        (
            json!({ "vault": { "path": "secret" } }),
            versioned(&s, "app", "3"),
            None,
        ),
        (
            json!({ "openBao": {} }),
            versioned(&s, "app", "3"),
            Some("- - kv/data/app"),
        ),
        (
            json!({ "vault": { "path": "secret" } }),
            find(&s, Some("app"), None),
            None,
        ),
        (
            json!({ "vault": { "path": "secret", "version": "v1" } }),
            key(&s, "data/app"),
            None,
        ),
        (
            json!({ "vault": { "version": "v1" } }),
            key(&s, "kv/app"),
            None,
        ),
        (json!({ "vault": { "path": "secret" } }), key(&s, ""), None),
        (json!({ "akeyless": {} }), key(&s, "secret/data/app"), None),
    ] {
        let index = index([
            configured(&s, &provider),
            applied("n/x", vec![reference.clone()]),
        ]);
        let expected: Vec<_> = path.into_iter().collect();
        assert_eq!(listed(&index), expected, "{provider} {reference:?}");
    }
    // An unknown store is of an unknown provider.
    assert_eq!(
        listed(&index([applied("n/x", vec![key(&s, "a/b")])])),
        [""; 0]
    );
}

#[test]
fn what_an_event_would_not_refresh_is_not_listed() {
    let s = store("n", "s");
    let vault = json!({ "vault": { "path": "secret" } });
    let object = secret("n/x", vec![key(&s, "a"), key(&s, "a"), key(&s, "b")]);
    let mut index = index([configured(&s, &vault), Change::Applied(object.clone())]);
    let both = ["- - secret/data/a", "- - secret/data/b"];
    assert_eq!(listed(&index), both);
    let before = index.revision();
    index.apply(Change::Applied(object.clone()));
    assert_eq!(index.revision(), before, "a change of the status");
    index.apply(Change::Applied(ExternalSecret {
        refreshable: Refreshable::No(Unrefreshable::Ignored),
        ..object.clone()
    }));
    assert_eq!(listed(&index), [""; 0]);
    assert_ne!(index.revision(), before);
    index.apply(Change::Applied(object));
    index.apply(Change::StoreApplied(Store {
        name: s.clone(),
        backend: Backend::of_store(&vault),
        admits: Admits {
            foreign: true,
            ..Admits::default()
        },
    }));
    assert_eq!(listed(&index), [""; 0]);
    let before = index.revision();
    index.apply(configured(&s, &vault));
    assert_eq!(listed(&index), both);
    assert_ne!(index.revision(), before);
    let before = index.revision();
    index.apply(Change::Deleted(ObjectRef::new("n", "x")));
    assert_eq!(listed(&index), [""; 0]);
    assert_ne!(index.revision(), before);
}

#[test]
fn what_a_push_secret_writes_is_not_listed() {
    let s = store("n", "s");
    let mut pushed = secret("n/x", vec![key(&s, "a")]);
    pushed.target = ObjectRef::push_secret("n", "x");
    let index = index([
        configured(&s, &json!({ "vault": { "path": "secret" } })),
        Change::Applied(pushed),
    ]);
    assert_eq!(listed(&index), [""; 0]);
}

#[test]
fn references_of_workloads_are_listed() {
    for (value, path) in [
        ("vault:secret/data/app#key", Some("- - secret/data/app")),
        ("bao:secret/data/app#key", Some("- - secret/data/app")),
        (
            "${vault:secret/data/app#key}@host",
            Some("- - secret/data/app"),
        ),
        ("vault:secret/data/app#key#1", None),
        (">>vault:secret/data/app#key", None),
        // Version 1, or a credential at each read.
        ("vault:kv/app#key", None),
        ("vault:database/creds/app#password", None),
        ("arn:aws:secretsmanager:eu:1:secret:app", None),
    ] {
        let mut index = index([workloads::with_variables("n/w", &[value])]);
        let expected: Vec<_> = path.into_iter().collect();
        assert_eq!(listed(&index), expected, "{value}");
        let before = index.revision();
        index.apply(workloads::with_variables("n/w", &[value]));
        assert_eq!(index.revision(), before, "a change of the status");
        index.apply(workloads::with_variables("n/w", &["plain"]));
        assert_eq!(listed(&index), [""; 0]);
        assert_ne!(index.revision(), before, "{value}");
    }
}

#[test]
fn a_large_index_is_listed_in_parts() {
    let s = store("n", "s");
    let mut index = index([configured(&s, &json!({ "vault": { "path": "secret" } }))]);
    for number in 0..3000 {
        let references = vec![key(&s, &format!("a{number}"))];
        index.apply(applied(&format!("n/x{number}"), references));
    }
    for number in 0..600 {
        let value = format!("vault:secret/data/w{number}#key");
        index.apply(workloads::with_variables(
            &format!("n/w{number}"),
            &[&value],
        ));
    }
    assert!(index.watched(Place::START).paths.len() < 600);
    let mut listed = listed(&index);
    listed.dedup();
    assert_eq!(listed.len(), 3600);
}
