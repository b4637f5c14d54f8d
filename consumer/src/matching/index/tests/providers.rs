//! Events as the ingress makes them, objects as people write them: who is refreshed.

use serde_json::{Value, json};

use super::*;

/// An event with a scope.
fn scoped(provider: &str, keys: &[&str], scope: &[(&str, &str)]) -> Event {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Event {
        scope: scope.iter().map(pair).collect(),
        ..event(provider, Keys::new(keys).map_or(Match::Scope, Match::Exact))
    }
}

/// Stores by name, and objects `n/<name>` that read these keys through them.
fn cluster(stores: &[(&str, Value)], objects: &[(&str, &str, &str)]) -> Index {
    let stores = stores
        .iter()
        .map(|(name, spec)| configured(&cluster_store(name), spec));
    let objects = objects
        .iter()
        .map(|(name, of, read)| applied(&format!("n/{name}"), vec![key(&cluster_store(of), read)]));
    // The stores come last: references are indexed again with them.
    let changes: Vec<Change> = objects.chain(stores).collect();
    index(changes)
}

#[test]
fn an_aws_secret_matches_by_name_arn_and_region() {
    let arn = "arn:aws:secretsmanager:eu-west-1:012345678901:secret:prod/db-a1b2c3";
    let index = cluster(
        &[
            (
                "eu",
                json!({ "aws": { "service": "SecretsManager", "region": "eu-west-1" } }),
            ),
            (
                "prod",
                json!({ "aws": { "region": "eu-west-1", "prefix": "prod/" } }),
            ),
            ("us", json!({ "aws": { "region": "us-east-1" } })),
            (
                "parameters",
                json!({ "aws": { "service": "ParameterStore", "region": "eu-west-1" } }),
            ),
        ],
        &[
            ("by-name", "eu", "prod/db"),
            ("by-arn", "eu", arn),
            ("by-partial-arn", "eu", &arn[..arn.len() - 7]),
            ("by-prefix", "prod", "db"),
            ("by-arn-from-elsewhere", "us", arn),
            ("unseen", "missing", "prod/db"),
            ("unseen-arn", "missing", arn),
            ("elsewhere", "us", "prod/db"),
            ("parameter", "parameters", "prod/db"),
            (
                "handed-on",
                "parameters",
                "/aws/reference/secretsmanager/prod/db",
            ),
            ("longer", "eu", "prod/db2"),
        ],
    );
    let keys = ["prod/db", arn, "prod/db-a1b2c3"];
    let scope = [("account", "012345678901"), ("region", "eu-west-1")];
    let readers = [
        "n/by-arn",
        "n/by-arn-from-elsewhere",
        "n/by-name",
        "n/by-partial-arn",
        "n/by-prefix",
        // Perhaps a replica.
        "n/elsewhere",
        "n/handed-on",
        "n/unseen",
        "n/unseen-arn",
    ];
    assert_eq!(matching(&index, &scoped("aws-sm", &keys, &scope)), readers);
    let parameter = scoped("aws-ps", &["prod/db"], &scope);
    assert_eq!(matching(&index, &parameter), ["n/parameter", "n/unseen"]);
    // A name of ESO's for all of AWS.
    let any = scoped("aws", &["prod/db"], &scope);
    assert!(matching(&index, &any).contains(&"n/parameter".to_owned()));
    assert!(matching(&index, &any).contains(&"n/by-name".to_owned()));
}

#[test]
fn a_vault_secret_matches_with_or_without_mount() {
    let index = cluster(
        &[
            (
                "kv",
                json!({ "vault": { "server": "https://v", "path": "secret" } }),
            ),
            ("whole", json!({ "vault": { "server": "https://v" } })),
            (
                "team",
                json!({ "vault": { "path": "secret", "namespace": "team" } }),
            ),
            ("bao", json!({ "openBao": { "path": "secret" } })),
            ("other", json!({ "vault": { "path": "other" } })),
        ],
        &[
            ("relative", "kv", "app/db"),
            ("repeated", "kv", "secret/app/db"),
            ("literal", "kv", "secret/data/app/db"),
            ("whole", "whole", "secret/app/db"),
            ("bao", "bao", "app/db"),
            ("unseen", "missing", "app/db"),
            ("unseen-whole", "missing", "secret/data/app/db"),
            ("namespace", "team", "app/db"),
            ("mount", "other", "app/db"),
        ],
    );
    let scope = [("namespace", "root"), ("mount", "secret")];
    let readers = [
        "n/bao",
        "n/literal",
        "n/relative",
        "n/repeated",
        "n/unseen",
        "n/unseen-whole",
        "n/whole",
    ];
    for provider in ["vault", "openbao"] {
        let one = scoped(provider, &["secret/data/app/db"], &scope);
        assert_eq!(matching(&index, &one), readers, "{provider}");
        // The connection was lost: anything in the mount may have changed.
        let mount = scoped(provider, &[], &scope);
        assert_eq!(matching(&index, &mount), readers, "{provider}");
        for prefix in ["secret/data/app", "secret/app/", "secret"] {
            let below = Event {
                matches: Match::Prefix(prefix.to_owned()),
                ..one.clone()
            };
            let known = &["n/bao", "n/literal", "n/relative", "n/repeated"][..];
            let found = matching(&index, &below);
            assert!(
                known.iter().all(|name| found.contains(&(*name).to_owned())),
                "{prefix}"
            );
            assert!(!found.contains(&"n/mount".to_owned()), "{prefix}");
        }
    }
}

#[test]
fn a_folder_of_infisical_refreshes_who_leads_there() {
    let scope = |path: &str, recursive: bool| {
        json!({ "infisical": { "secretsScope": {
            "projectSlug": "shop", "environmentSlug": "prod", "secretsPath": path,
            "recursive": recursive,
        } } })
    };
    let mut index = cluster(
        &[
            ("root", scope("/", false)),
            ("all", scope("/", true)),
            ("api", scope("/api", false)),
        ],
        &[
            ("bare", "api", "DB"),
            ("relative", "root", "api/DB"),
            ("absolute", "all", "/api/DB"),
            ("root", "root", "DB"),
            ("up", "api", "/DB"),
        ],
    );
    for name in ["root", "all", "api"] {
        let found = find(&cluster_store(name), None, Some("^DB$"));
        index.apply(applied(&format!("n/find-{name}"), vec![found]));
    }
    let changed = scoped(
        "infisical",
        &[],
        &[
            ("project", "shop"),
            ("environment", "prod"),
            ("path", "/api"),
        ],
    );
    assert_eq!(
        matching(&index, &changed),
        [
            "n/absolute",
            "n/bare",
            "n/find-all",
            "n/find-api",
            "n/relative"
        ]
    );
}

#[test]
fn a_store_whose_settings_change_has_its_readers_read_anew() {
    let s = cluster_store("s");
    let settings = |prefix: &str, account: &str| {
        let role = format!("arn:aws:iam::{account}:role/eso");
        configured(&s, &json!({ "aws": { "prefix": prefix, "role": role } }))
    };
    // The second key is the first behind the new prefix.
    let both = vec![
        key(&s, "db"),
        key(&s, "p/db"),
        find(&s, None, Some("^found$")),
    ];
    let mut index = index([settings("", "1"), applied("n/x", both)]);
    let means = |index: &Index, name: &str, account: &str| {
        !matching(index, &scoped("aws-sm", &[name], &[("account", account)])).is_empty()
    };
    assert!(means(&index, "db", "1") && means(&index, "p/db", "1"));
    assert!(!means(&index, "db", "2") && !means(&index, "p/p/db", "1"));
    assert!(means(&index, "found", "1") && !means(&index, "p/found", "1"));
    index.apply(settings("p/", "1"));
    assert!(means(&index, "p/db", "1") && means(&index, "p/p/db", "1"));
    assert!(means(&index, "found", "1") && means(&index, "p/found", "1"));
    index.apply(settings("p/", "2"));
    assert!(means(&index, "found", "2") && !means(&index, "found", "1"));
    assert!(means(&index, "p/db", "2") && !means(&index, "p/db", "1"));
    index.apply(settings("", "1"));
    assert!(means(&index, "p/db", "1") && !means(&index, "p/p/db", "1"));
    index.apply(Change::Deleted(ObjectRef::new("n", "x")));
    index.apply(Change::StoreDeleted(s));
    assert!(index.lookup.is_empty(), "something of them is left");
}

#[test]
fn what_reads_through_a_cache_settles_when_that_has_run_out() {
    let sdk = |ttl: &str| json!({ "onepasswordSDK": { "cache": { "ttl": ttl } } });
    let mut index = cluster(
        &[
            ("short", sdk("1m")),
            ("long", sdk("3m")),
            ("none", json!({ "akeyless": {} })),
        ],
        &[("short", "short", "db"), ("none", "none", "db")],
    );
    let (short, long) = (cluster_store("short"), cluster_store("long"));
    index.apply(applied("n/both", vec![key(&short, "db"), key(&long, "db")]));
    for (name, settle) in [("short", Some("1m")), ("both", Some("3m")), ("none", None)] {
        let settle = settle.map(|text| text.parse().unwrap());
        assert_eq!(
            index.settle_of(&ObjectRef::new("n", name)),
            settle,
            "{name}"
        );
    }
}
