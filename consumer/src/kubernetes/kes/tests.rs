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

const REFRESHED: &str = "refreshed";
const NOT_MATCHED: &str = "-";

fn key(key: &str) -> Value {
    json!({ "key": key, "name": "value" })
}

/// The outcome for an object with this entry of an event of a provider, with a key and a scope.
fn reading(
    backend: &str,
    settings: &Value,
    entry: &Value,
) -> impl Fn(&str, &str, &[(&str, &str)]) -> &'static str + use<> {
    let spec = spec(backend, settings, entry);
    move |provider, key, scope| meets(&spec, &event(provider, key, scope))
}

#[test]
fn aws_is_read_by_service_region_and_account() {
    let eu = [("region", "eu-west-1"), ("account", "1234")];
    let us = [("region", "us-east-1"), ("account", "1234")];
    let role = json!({ "region": "eu-west-1", "roleArn": "arn:aws:iam::1234:role/kes" });
    let other_role = json!({ "roleArn": "arn:aws:iam::99:role/kes" });
    let arn = "arn:aws:secretsmanager:eu-west-1:1234:secret:app/db-AbCdEf";
    let below = |recursive: bool| json!({ "path": "/app", "recursive": recursive });
    let none = json!({});
    let read = reading("secretsManager", &role, &key("app/db"));
    assert_eq!(read("aws-sm", "app/db", &eu), REFRESHED);
    assert_eq!(read("aws-sm", "app/web", &eu), NOT_MATCHED);
    assert_eq!(read("aws-ps", "app/db", &eu), NOT_MATCHED);
    let read = reading("secretManager", &none, &key("app/db"));
    assert_eq!(read("aws-sm", "app/db", &eu), REFRESHED);
    let read = reading("secretsManager", &role, &key(arn));
    assert_eq!(read("aws-sm", "app/db", &eu), REFRESHED);
    let read = reading("secretsManager", &other_role, &key("app/db"));
    assert_eq!(read("aws-sm", "app/db", &eu), NOT_MATCHED);
    let read = reading("systemManager", &role, &key("/app/db"));
    assert_eq!(read("aws-ps", "/app/db", &eu), REFRESHED);
    assert_eq!(read("aws-ps", "/app/db", &us), NOT_MATCHED);
    let read = reading("systemManager", &none, &key("/app/db"));
    assert_eq!(read("aws-ps", "/app/db", &us), REFRESHED);
    let read = reading("systemManager", &none, &below(true));
    assert_eq!(read("aws-ps", "/app/a/db", &[]), REFRESHED);
    let read = reading("systemManager", &none, &below(false));
    assert_eq!(read("aws-ps", "/app/a/db", &[]), NOT_MATCHED);
    assert_eq!(read("aws-ps", "/app/db", &[]), REFRESHED);
    assert_eq!(read("aws-ps", "/apple/db", &[]), NOT_MATCHED);
    let read = reading("secretsManager", &none, &key("app/db"));
    assert_eq!(read("generic", "app/db", &[]), REFRESHED);
    assert_eq!(read("akeyless", "app/db", &[]), NOT_MATCHED);
}

#[test]
fn vault_is_read_by_the_path_as_it_is_written() {
    let none = json!({});
    let read = reading("vault", &none, &key("secret/data/db"));
    assert_eq!(read("vault", "secret/data/db", &[]), REFRESHED);
    assert_eq!(read("vault", "secret/db", &[]), REFRESHED);
    assert_eq!(
        read("openbao", "secret/data/db", &[("host", "bao")]),
        REFRESHED
    );
    let read = reading("vault", &json!({ "kvVersion": 1 }), &key("kv/db"));
    assert_eq!(read("vault", "kv/db", &[]), REFRESHED);
    // Nothing is put before it or into it; the mount of the login says nothing of the secret.
    let read = reading("vault", &json!({ "vaultMountPoint": "secret" }), &key("db"));
    assert_eq!(read("vault", "secret/data/db", &[]), NOT_MATCHED);
}

#[test]
fn a_key_vault_and_a_project_are_places() {
    let none = json!({});
    let shop = json!({ "keyVaultName": "shop" });
    let acme = json!({ "projectId": "acme" });
    let read = reading("azureKeyVault", &shop, &key("db"));
    assert_eq!(
        read(
            "azure-kv",
            "secret/db",
            &[("vault", "shop.vault.azure.net")]
        ),
        REFRESHED
    );
    assert_eq!(
        read("azure-kv", "secret/db", &[("vault", "shop.vault.azure.cn")]),
        REFRESHED
    );
    assert_eq!(
        read(
            "azure-kv",
            "secret/db",
            &[("vault", "other.vault.azure.net")]
        ),
        NOT_MATCHED
    );
    let read = reading("gcpSecretsManager", &acme, &key("db"));
    assert_eq!(read("gcp-sm", "db", &[("project", "acme")]), REFRESHED);
    assert_eq!(read("gcp-sm", "db", &[("project", "other")]), NOT_MATCHED);
    let read = reading("gcpSecretsManager", &none, &key("db"));
    assert_eq!(read("gcp-sm", "db", &[("project", "other")]), REFRESHED);
}

#[test]
fn the_other_backends_read_by_name_type_and_account() {
    let none = json!({});
    let read = reading(
        "alicloudSecretsManager",
        &json!({ "roleArn": "acs:ram::1234:role/kes" }),
        &key("db"),
    );
    assert_eq!(read("alibaba", "acs:kms:cn:1234:secret/db", &[]), REFRESHED);
    let read = reading(
        "alicloudSecretsManager",
        &json!({ "roleArn": "acs:ram::99:role/kes" }),
        &key("db"),
    );
    assert_eq!(
        read("alibaba", "acs:kms:cn:1234:secret/db", &[]),
        NOT_MATCHED
    );
    let read = reading(
        "ibmcloudSecretsManager",
        &none,
        &json!({ "key": "id-1", "secretType": "arbitrary" }),
    );
    assert_eq!(
        read("ibm", "arbitrary/id-1", &[("instance", "x")]),
        REFRESHED
    );
    let read = reading(
        "ibmcloudSecretsManager",
        &json!({ "keyByName": true }),
        &json!({ "key": "db", "secretType": "username_password" }),
    );
    assert_eq!(read("ibm", "username_password/db", &[]), REFRESHED);
    let read = reading(
        "ibmcloudSecretsManager",
        &none,
        &json!({ "key": "db", "secretType": "username_password" }),
    );
    assert_eq!(read("ibm", "arbitrary/db", &[]), NOT_MATCHED);
    let read = reading("akeyless", &none, &key("/app/db"));
    assert_eq!(read("akeyless", "app/db", &[]), REFRESHED);
}

#[test]
fn a_fixed_version_is_pinned() {
    let entry = |field: &str, value: Value| json!({ "key": "db", field: value });
    let read = |backend: &str, provider: &str, field: &str, value: Value| {
        reading(backend, &json!({}), &entry(field, value))(provider, "db", &[])
    };
    let pinned = Unrefreshable::PinnedVersion.as_str();
    assert_eq!(
        read("secretsManager", "aws-sm", "versionId", json!("1")),
        pinned
    );
    assert_eq!(
        read("secretsManager", "aws-sm", "versionStage", json!("blue")),
        pinned
    );
    assert_eq!(
        read(
            "secretsManager",
            "aws-sm",
            "versionStage",
            json!("AWSPREVIOUS")
        ),
        REFRESHED
    );
    assert_eq!(
        read("gcpSecretsManager", "gcp-sm", "version", json!(3)),
        pinned
    );
    assert_eq!(
        read("gcpSecretsManager", "gcp-sm", "version", json!("3")),
        pinned
    );
    assert_eq!(
        read("gcpSecretsManager", "gcp-sm", "version", json!("latest")),
        REFRESHED
    );
    assert_eq!(
        read(
            "alicloudSecretsManager",
            "alibaba",
            "versionStage",
            json!("blue")
        ),
        pinned
    );
    assert_eq!(
        read(
            "alicloudSecretsManager",
            "alibaba",
            "versionStage",
            json!("ACSCurrent")
        ),
        REFRESHED
    );
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
