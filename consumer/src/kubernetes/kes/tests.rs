use eso_relay::event::{Event, Keys, Match, Pattern, Reach, StorePattern, Version};
use serde_json::json;

use super::*;
use crate::{
    config::FindPolicy,
    matching::index::Index,
    object::{IGNORE_ANNOTATION, Unrefreshable},
};

fn read(json: Value) -> ExternalSecret {
    let object: KesObject = serde_json::from_value(json).unwrap();
    match applied(&object, &Selection::default()) {
        Some(Change::Applied(object)) => object,
        other => panic!("{other:?}"),
    }
}

fn of_spec(spec: &Value) -> ExternalSecret {
    read(json!({ "metadata": { "namespace": "team", "name": "db" }, "spec": spec }))
}

fn event(provider: &str, key: &str, scope: &[(&str, &str)]) -> Event {
    Event {
        provider: provider.parse().unwrap(),
        matches: Match::Exact(Keys::one(key).unwrap()),
        scope: scope
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        version: Some(Version {
            id: Some("9".to_owned()),
            labels: vec!["AWSCURRENT".to_owned()],
        }),
        ..crate::tests::event("1")
    }
}

/// What an event does with an object of this spec.
fn meets(spec: &Value, event: &Event) -> &'static str {
    let mut index = Index::new();
    index.apply(Change::Applied(of_spec(spec)));
    let matched = index.matching(event);
    let text = |target: &ObjectRef| target.to_string() == "KES/team/db";
    match (&matched.targets[..], &matched.skipped[..]) {
        ([], []) => "-",
        ([target], []) if text(target) => "refreshed",
        ([], [skipped]) if text(&skipped.target) => skipped.reason.as_str(),
        other => panic!("{other:?}"),
    }
}

/// Of `backendType`, with one entry of `data`.
fn spec(backend: &str, settings: &Value, entry: &Value) -> Value {
    let mut spec = settings.clone();
    spec["backendType"] = backend.into();
    spec["data"] = json!([entry]);
    spec
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn each_backend_reads_as_its_store_would() {
    let key = |key: &str| json!({ "key": key, "name": "value" });
    let (eu, us) = (
        [("region", "eu-west-1"), ("account", "1234")],
        [("region", "us-east-1"), ("account", "1234")],
    );
    let role = json!({ "region": "eu-west-1", "roleArn": "arn:aws:iam::1234:role/kes" });
    let other_role = json!({ "roleArn": "arn:aws:iam::99:role/kes" });
    let arn = "arn:aws:secretsmanager:eu-west-1:1234:secret:app/db-AbCdEf";
    let below = |recursive: bool| json!({ "path": "/app", "recursive": recursive });
    let kv = json!({ "keyVaultName": "shop" });
    let none = json!({});
    for (backend, settings, entry, provider, said, scope, expected) in [
        (
            "secretsManager",
            &role,
            key("app/db"),
            "aws-sm",
            "app/db",
            &eu[..],
            "refreshed",
        ),
        (
            "secretManager",
            &none,
            key("app/db"),
            "aws-sm",
            "app/db",
            &eu,
            "refreshed",
        ),
        (
            "secretsManager",
            &role,
            key(arn),
            "aws-sm",
            "app/db",
            &eu,
            "refreshed",
        ),
        (
            "secretsManager",
            &role,
            key("app/db"),
            "aws-sm",
            "app/web",
            &eu,
            "-",
        ),
        (
            "secretsManager",
            &other_role,
            key("app/db"),
            "aws-sm",
            "app/db",
            &eu,
            "-",
        ),
        (
            "secretsManager",
            &role,
            key("app/db"),
            "aws-ps",
            "app/db",
            &eu,
            "-",
        ),
        (
            "systemManager",
            &role,
            key("/app/db"),
            "aws-ps",
            "/app/db",
            &eu,
            "refreshed",
        ),
        (
            "systemManager",
            &role,
            key("/app/db"),
            "aws-ps",
            "/app/db",
            &us,
            "-",
        ),
        (
            "systemManager",
            &none,
            key("/app/db"),
            "aws-ps",
            "/app/db",
            &us,
            "refreshed",
        ),
        (
            "systemManager",
            &none,
            below(true),
            "aws-ps",
            "/app/a/db",
            &[],
            "refreshed",
        ),
        (
            "systemManager",
            &none,
            below(false),
            "aws-ps",
            "/app/a/db",
            &[],
            "-",
        ),
        (
            "systemManager",
            &none,
            below(false),
            "aws-ps",
            "/app/db",
            &[],
            "refreshed",
        ),
        (
            "systemManager",
            &none,
            below(false),
            "aws-ps",
            "/apple/db",
            &[],
            "-",
        ),
        (
            "vault",
            &none,
            key("secret/data/db"),
            "vault",
            "secret/data/db",
            &[],
            "refreshed",
        ),
        (
            "vault",
            &none,
            key("secret/data/db"),
            "vault",
            "secret/db",
            &[],
            "refreshed",
        ),
        (
            "vault",
            &json!({ "kvVersion": 1 }),
            key("kv/db"),
            "vault",
            "kv/db",
            &[],
            "refreshed",
        ),
        // Nothing is put before it or into it; the mount of the login says nothing of the secret.
        (
            "vault",
            &json!({ "vaultMountPoint": "secret" }),
            key("db"),
            "vault",
            "secret/data/db",
            &[],
            "-",
        ),
        (
            "vault",
            &none,
            key("secret/data/db"),
            "openbao",
            "secret/data/db",
            &[("host", "bao")],
            "refreshed",
        ),
        (
            "azureKeyVault",
            &kv,
            key("db"),
            "azure-kv",
            "secret/db",
            &[("vault", "shop.vault.azure.net")],
            "refreshed",
        ),
        (
            "azureKeyVault",
            &kv,
            key("db"),
            "azure-kv",
            "secret/db",
            &[("vault", "shop.vault.azure.cn")],
            "refreshed",
        ),
        (
            "azureKeyVault",
            &kv,
            key("db"),
            "azure-kv",
            "secret/db",
            &[("vault", "other.vault.azure.net")],
            "-",
        ),
        (
            "gcpSecretsManager",
            &json!({ "projectId": "acme" }),
            key("db"),
            "gcp-sm",
            "db",
            &[("project", "acme")],
            "refreshed",
        ),
        (
            "gcpSecretsManager",
            &json!({ "projectId": "acme" }),
            key("db"),
            "gcp-sm",
            "db",
            &[("project", "other")],
            "-",
        ),
        (
            "gcpSecretsManager",
            &none,
            key("db"),
            "gcp-sm",
            "db",
            &[("project", "other")],
            "refreshed",
        ),
        (
            "alicloudSecretsManager",
            &json!({ "roleArn": "acs:ram::1234:role/kes" }),
            key("db"),
            "alibaba",
            "acs:kms:cn:1234:secret/db",
            &[],
            "refreshed",
        ),
        (
            "alicloudSecretsManager",
            &json!({ "roleArn": "acs:ram::99:role/kes" }),
            key("db"),
            "alibaba",
            "acs:kms:cn:1234:secret/db",
            &[],
            "-",
        ),
        (
            "ibmcloudSecretsManager",
            &none,
            json!({ "key": "id-1", "secretType": "arbitrary" }),
            "ibm",
            "arbitrary/id-1",
            &[("instance", "x")],
            "refreshed",
        ),
        (
            "ibmcloudSecretsManager",
            &json!({ "keyByName": true }),
            json!({ "key": "db", "secretType": "username_password" }),
            "ibm",
            "username_password/db",
            &[],
            "refreshed",
        ),
        (
            "ibmcloudSecretsManager",
            &none,
            json!({ "key": "db", "secretType": "username_password" }),
            "ibm",
            "arbitrary/db",
            &[],
            "-",
        ),
        (
            "akeyless",
            &none,
            key("/app/db"),
            "akeyless",
            "app/db",
            &[],
            "refreshed",
        ),
        (
            "secretsManager",
            &none,
            key("app/db"),
            "generic",
            "app/db",
            &[],
            "refreshed",
        ),
        (
            "secretsManager",
            &none,
            key("app/db"),
            "akeyless",
            "app/db",
            &[],
            "-",
        ),
    ] {
        let spec = spec(backend, settings, &entry);
        let found = meets(&spec, &event(provider, said, scope));
        assert_eq!(found, expected, "{spec} {provider} {said} {scope:?}");
    }
}

#[test]
fn a_fixed_version_is_pinned() {
    let entry = |field: &str, value: Value| json!({ "key": "db", field: value });
    for (backend, provider, field, value, expected) in [
        (
            "secretsManager",
            "aws-sm",
            "versionId",
            json!("1"),
            "pinned_version",
        ),
        (
            "secretsManager",
            "aws-sm",
            "versionStage",
            json!("blue"),
            "pinned_version",
        ),
        (
            "secretsManager",
            "aws-sm",
            "versionStage",
            json!("AWSPREVIOUS"),
            "refreshed",
        ),
        (
            "gcpSecretsManager",
            "gcp-sm",
            "version",
            json!(3),
            "pinned_version",
        ),
        (
            "gcpSecretsManager",
            "gcp-sm",
            "version",
            json!("3"),
            "pinned_version",
        ),
        (
            "gcpSecretsManager",
            "gcp-sm",
            "version",
            json!("latest"),
            "refreshed",
        ),
        (
            "alicloudSecretsManager",
            "alibaba",
            "versionStage",
            json!("blue"),
            "pinned_version",
        ),
        (
            "alicloudSecretsManager",
            "alibaba",
            "versionStage",
            json!("ACSCurrent"),
            "refreshed",
        ),
    ] {
        let spec = spec(backend, &json!({}), &entry(field, value));
        assert_eq!(
            meets(&spec, &event(provider, "db", &[])),
            expected,
            "{spec}"
        );
    }
}

#[test]
fn keys_are_read_in_every_place_and_spelling() {
    for reads in [
        json!({ "data": [{ "key": "db", "name": "x" }] }),
        json!({ "data": [{ "key": "db", "name": "x", "path": "" }] }),
        json!({ "properties": [{ "key": "db", "name": "x" }] }),
        json!({ "dataFrom": ["web", "db"] }),
        json!({ "dataFromWithOptions": [{ "key": "db", "isBinary": true }] }),
    ] {
        let mut spec = reads;
        spec["backendType"] = "secretsManager".into();
        assert_eq!(
            meets(&spec, &event("aws-sm", "db", &[])),
            "refreshed",
            "{spec}"
        );
        assert_eq!(of_spec(&spec).problems, [""; 0]);
    }
}

#[test]
fn what_is_malformed_is_told_and_the_rest_counts() {
    for (spec, problem) in [
        (json!(null), "spec.backendType"),
        (json!({ "backendType": "vaultwarden" }), "spec.backendType"),
        (
            json!({ "backendType": "vault", "data": {} }),
            "data is not a list",
        ),
        (
            json!({ "backendType": "vault", "data": [7] }),
            "data[0] has no key",
        ),
        (
            json!({ "backendType": "vault", "dataFrom": [{}] }),
            "dataFrom[0] is not text",
        ),
        (
            json!({ "backendType": "vault", "dataFromWithOptions": [{}] }),
            "has no key",
        ),
    ] {
        let problems = of_spec(&spec).problems;
        assert!(problems[0].contains(problem), "{problems:?}");
    }
    let spec =
        json!({ "backendType": "vault", "data": [{ "name": "x" }, { "key": "secret/data/db" }] });
    assert_eq!(meets(&spec, &event("vault", "secret/db", &[])), "refreshed");
}

#[test]
fn find_policy_is_for_paths_too() {
    let spec = spec("systemManager", &json!({}), &json!({ "path": "/app" }));
    assert_eq!(references(&spec, FindPolicy::Match).0.len(), 1);
    assert!(references(&spec, FindPolicy::Ignore).0.is_empty());
}

#[test]
fn an_event_for_certain_stores_reaches_none_of_kes() {
    let spec = spec("akeyless", &json!({}), &json!({ "key": "db" }));
    let reach = |store: Option<&str>, namespace: &str| Event {
        target: Some(Reach {
            stores: Vec::from_iter(store.map(|name| StorePattern {
                kind: None,
                name: Pattern::new(name),
            })),
            namespaces: vec![Pattern::new(namespace)],
            clusters: Vec::new(),
        }),
        ..event("akeyless", "db", &[])
    };
    assert_eq!(meets(&spec, &reach(None, "team")), "refreshed");
    assert_eq!(meets(&spec, &reach(None, "other")), "-");
    assert_eq!(meets(&spec, &reach(Some("*"), "team")), "-");
}

#[test]
fn one_that_is_excluded_is_skipped() {
    let refreshable = |metadata: Value| read(json!({ "metadata": metadata })).refreshable;
    let named = json!({ "namespace": "team", "name": "db" });
    assert_eq!(refreshable(named), Refreshable::Yes);
    for (field, value, reason) in [
        (
            "annotations",
            json!({ IGNORE_ANNOTATION: "true" }),
            Unrefreshable::Ignored,
        ),
        (
            "deletionTimestamp",
            json!("2022-01-01T00:00:00Z"),
            Unrefreshable::Deleting,
        ),
    ] {
        let metadata = json!({ "namespace": "team", "name": "db", field: value });
        assert_eq!(refreshable(metadata), Refreshable::No(reason));
    }
}

#[test]
fn its_mark_and_its_sync_are_read() {
    let object = read(json!({
        "metadata": {
            "namespace": "team", "name": "db", "generation": 2,
            "annotations": { REFRESH_ANNOTATION: "0123456789abcdef0123" },
        },
        "status": { "observedGeneration": 2, "status": "SUCCESS", "lastSync": "2022-01-01T00:00:00.000Z" },
    }));
    assert_eq!(object.target.to_string(), "KES/team/db");
    assert_eq!(object.value, "0123456789abcdef0123".parse().ok());
    assert_eq!(object.sync, SyncState::Synced);
    for malformed in [
        json!({}),
        json!({ "metadata": [], "spec": 7, "status": "x" }),
    ] {
        let object: KesObject = serde_json::from_value(malformed).unwrap();
        assert!(applied(&object, &Selection::default()).is_none());
    }
}
