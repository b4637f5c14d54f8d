//! Cases out of the test suites of other refreshers of ESO, and of ESO, as data; each names its own.
//!
//! Elsewhere: (a), the ancestor's payloads and variables, in `seed.rs` (`two_variables_are_enough…`,
//! `an_empty_array_is_fine…`, `with_one_of_the_two…`); the payloads of (d), by format, in
//! `ingress/src/source/tests/`; of (g), ESO's tables, Infisical's with its rules in
//! `consumer/src/provider/infisical.rs`, which policies refresh in `consumer/src/kubernetes/policy/tests.rs`, and
//! force-sync of a `ClusterExternalSecret` in `matching.rs`.

use eso_relay::{
    Event,
    event::{Keys, Match, Version},
};
use eso_relay_lab::{
    cluster::{
        ExternalSecretBuilder, StoreBuilder, cluster_store, create_all, delete, external_secret,
        store,
    },
    installation::Cluster,
};
use serde_json::json;

use crate::{
    cli,
    consuming::{Consuming, TEAM, event, fingerprint},
};

/// A consumer's cluster with these objects in it, and none besides.
async fn cluster(
    stores: impl IntoIterator<Item = StoreBuilder>,
    objects: &[(&str, ExternalSecretBuilder)],
) -> Consuming {
    let relay = Consuming::on(Cluster::start("east").await.unwrap(), &[]).await;
    let client = relay.cluster.client();
    create_all(client, stores, 4).await.unwrap();
    let objects = objects.iter().map(|(_, object)| object.clone());
    create_all(client, objects, 8).await.unwrap();
    relay
}

fn reads(name: &str, store: &str) -> ExternalSecretBuilder {
    external_secret(name).in_namespace(TEAM).from_store(store)
}

/// Of a provider about a secret by this name.
fn about(provider: &str, key: &str) -> Event {
    Event {
        provider: provider.parse().unwrap(),
        matches: Match::Exact(Keys::one(key).unwrap()),
        ..event(key)
    }
}

/// Refreshes just these for the event.
async fn refreshes(relay: &Consuming, event: &Event, expected: &[&str], all: &[&str]) {
    cli::publish(&relay.jetstream, std::slice::from_ref(event)).await;
    relay.drained().await;
    let value = fingerprint(event);
    for name in all {
        let carried = relay.cluster.refresh_of(TEAM, name).await;
        let is_meant = expected.contains(name);
        let key = event.matches.keys();
        assert_eq!(
            carried.as_ref() == Some(&value),
            is_meant,
            "{name}: {key:?}"
        );
    }
}

/// akeyless-eso-webhook-trigger, `main.go`: a key is compared but for its leading slash.
#[tokio::test(flavor = "multi_thread")]
async fn case_b_the_ancestor_matches_keys_with_and_without_their_slash_and_no_others() {
    let keys = [
        ("slashed", "/a/b"),
        ("bare", "a/b"),
        ("trailing", "a/b/"),
        ("longer", "a/bc"),
        ("spaced", "/Chris Gruel/events/Test1"),
    ];
    let objects = keys.map(|(name, key)| (name, reads(name, "akeyless").key(key)));
    let relay = cluster([], &objects).await;
    let _consumer = relay.consumer("").await;
    let all = keys.map(|(name, _)| name);
    for item in ["/a/b", "a/b"] {
        let event = about("akeyless", item);
        refreshes(&relay, &event, &["slashed", "bare"], &all).await;
    }
    let event = about("akeyless", "Chris Gruel/events/Test1");
    refreshes(&relay, &event, &["spaced"], &all).await;
}

/// external-secrets/reloader, `internal/controller/reloader_controller_test.go`: `data`, `extract`, and a
/// `find` whose expression is the identifier.
#[tokio::test(flavor = "multi_thread")]
async fn case_c_reloader_matches_by_data_extract_and_find() {
    const ID: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mysecret";
    let objects = [
        ("data", reads("data", "fake").key(ID)),
        ("extract", reads("extract", "fake").extract(ID)),
        ("find", reads("find", "fake").find_name(ID)),
        ("other", reads("other", "fake").key("mysecret-2")),
        ("other-find", reads("other-find", "fake").find_name("^your")),
    ];
    let relay = cluster([store("fake").in_namespace(TEAM).fake([])], &objects).await;
    let _consumer = relay.consumer("").await;
    let all = ["data", "extract", "find", "other", "other-find"];
    let event = about("generic", ID);
    refreshes(&relay, &event, &["data", "extract", "find"], &all).await;
}

fn aws(service: &str) -> serde_json::Value {
    json!({ "aws": { "service": service, "region": "us-west-2" } })
}

/// external-secrets/reloader, `docs/sources/aws-sqs.md`: `CloudTrail` gives the ARN with its six characters.
#[tokio::test(flavor = "multi_thread")]
async fn case_d_an_arn_means_who_reads_it_by_arn_or_by_name() {
    const ARN: &str =
        "arn:aws:secretsmanager:us-west-2:123456789012:secret:prod/test-secret-123456";
    let partial = ARN.strip_suffix("-123456").unwrap();
    let objects = [
        ("by-arn", reads("by-arn", "aws").key(ARN)),
        (
            "by-partial-arn",
            reads("by-partial-arn", "aws").key(partial),
        ),
        ("by-name", reads("by-name", "aws").key("prod/test-secret")),
        ("another", reads("another", "aws").key("prod/test-secret-2")),
    ];
    let secrets_manager = aws("SecretsManager");
    let stores = [store("aws").in_namespace(TEAM).provider(secrets_manager)];
    let relay = cluster(stores, &objects).await;
    let _consumer = relay.consumer("").await;
    let all = objects.each_ref().map(|(name, _)| *name);
    let event = about("aws-sm", ARN);
    refreshes(&relay, &event, &all[..3], &all).await;
}

/// bensoer/external-secrets-reloader, `tests/test_eso_aws_provider_reloader.py`: a key counts only through a
/// store of its service.
#[tokio::test(flavor = "multi_thread")]
async fn case_e_a_key_of_one_service_is_none_of_another() {
    const KEY: &str = "/aws/secretsmanager/my_secret_key";
    let of = |name: &str, service| store(name).in_namespace(TEAM).provider(aws(service));
    let cluster_of = |name: &str, service| cluster_store(name).provider(aws(service));
    let gcp = json!({ "gcpsm": { "projectID": "p" } });
    let stores = [
        of("aws-secrets-ss-match", "SecretsManager"),
        of("aws-ssm-ss-no-match", "ParameterStore"),
        store("other-ss").in_namespace(TEAM).provider(gcp),
        cluster_of("aws-secrets-css-match", "SecretsManager"),
        cluster_of("aws-ssm-css-no-match", "ParameterStore"),
    ];
    let through = |name: &str, store| {
        external_secret(name)
            .in_namespace(TEAM)
            .cluster_store(store)
    };
    let objects = [
        ("es-1", reads("es-1", "aws-secrets-ss-match").key(KEY)),
        (
            "es-css-1",
            through("es-css-1", "aws-secrets-css-match").key(KEY),
        ),
        (
            "es-2",
            reads("es-2", "aws-secrets-ss-match").key("/aws/secretsmanager/other"),
        ),
        ("es-3", reads("es-3", "aws-ssm-ss-no-match").key(KEY)),
        (
            "es-css-3",
            through("es-css-3", "aws-ssm-css-no-match").key(KEY),
        ),
        ("es-4", reads("es-4", "other-ss").key(KEY)),
    ];
    let relay = cluster(stores, &objects).await;
    let _consumer = relay.consumer("").await;
    let all = objects.each_ref().map(|(name, _)| *name);
    refreshes(&relay, &about("aws-sm", KEY), &["es-1", "es-css-1"], &all).await;
    // No match is a success, and patches nothing.
    refreshes(&relay, &about("aws-sm", "/nobody/reads/this"), &[], &all).await;
    assert_eq!(relay.dead_letters().await.len(), 0);
}

/// bank-vaults/vault-secrets-reloader, `collector_test.go`: the inverse of what is read, without pinned
/// versions and duplicates.
#[tokio::test(flavor = "multi_thread")]
async fn case_f_a_path_means_all_that_read_it_until_they_are_gone_but_no_pinned_version() {
    let read = |name: &str, keys: [&str; 2]| {
        let [first, second] = keys;
        reads(name, "vault").key(first).key(second)
    };
    let objects = [
        (
            "w1",
            read("w1", ["secret/data/accounts/aws", "secret/data/mysql"]),
        ),
        (
            "w2",
            read("w2", ["secret/data/accounts/aws", "secret/data/docker"]),
        ),
        (
            "pinned",
            reads("pinned", "vault")
                .key("secret/data/mysql")
                .version("1"),
        ),
        ("twice", read("twice", ["secret/data/docker", "docker"])),
    ];
    let relay = cluster([store("vault").in_namespace(TEAM).vault()], &objects).await;
    let _consumer = relay.consumer("").await;
    let all = objects.each_ref().map(|(name, _)| *name);
    for (path, expected) in [
        ("accounts/aws", &["w1", "w2"][..]),
        ("mysql", &["w1"]),
        ("docker", &["w2", "twice"]),
    ] {
        let event = Event {
            version: Some(Version {
                id: Some("2".to_owned()),
                labels: Vec::new(),
            }),
            ..about("vault", &format!("secret/data/{path}"))
        };
        refreshes(&relay, &event, expected, &all).await;
    }
    delete(relay.cluster.client(), TEAM, "w1").await.unwrap();
    let event = about("vault", "secret/data/accounts/aws");
    refreshes(&relay, &event, &["w2"], &all[1..]).await;
}

/// ESO, `providers/v1/vault/client_get_test.go`, `TestVaultBuildPath`: where a key leads through a store.
#[tokio::test(flavor = "multi_thread")]
async fn case_g_a_path_of_vault_means_every_key_that_eso_reads_there() {
    let vault = |name: &str, path: Option<&str>, version: &str| {
        let secret = json!({ "name": "token", "key": "token", "namespace": "default" });
        let mut spec = json!({
            "server": "https://vault.example.com", "version": version,
            "auth": { "tokenSecretRef": secret },
        });
        if let Some(path) = path {
            spec["path"] = path.into();
        }
        store(name)
            .in_namespace(TEAM)
            .provider(json!({ "vault": spec }))
    };
    let stores = [
        vault("v1", Some("secret/path"), "v1"),
        vault("v2", Some("secret/path"), "v2"),
        vault("v1-nil", None, "v1"),
        vault("v2-nil", None, "v2"),
    ];
    let objects = [
        ("v1-whole", reads("v1-whole", "v1").key("secret/path/test")),
        ("v1-short", reads("v1-short", "v1").key("test")),
        ("v1-nil", reads("v1-nil", "v1-nil").key("secret/path/test")),
        ("v2-short", reads("v2-short", "v2").key("test")),
        ("v2-mount", reads("v2-mount", "v2").key("secret/path/test")),
        (
            "v2-data",
            reads("v2-data", "v2").key("secret/path/data/test"),
        ),
        (
            "v2-nil-data",
            reads("v2-nil-data", "v2-nil").key("secret/path/data/test"),
        ),
        (
            "v2-nil-big",
            reads("v2-nil-big", "v2-nil").key("secret/test/big/path"),
        ),
    ];
    let relay = cluster(stores, &objects).await;
    let _consumer = relay.consumer("").await;
    let all = objects.each_ref().map(|(name, _)| *name);
    for (path, expected) in [
        // Of version 1; and of version 2, where a person who sends it may leave `data` out.
        ("secret/path/test", &all[..7]),
        ("secret/path/data/test", &all[3..7]),
        ("secret/data/test/big/path", &all[7..]),
    ] {
        refreshes(&relay, &about("vault", path), expected, &all).await;
    }
}
