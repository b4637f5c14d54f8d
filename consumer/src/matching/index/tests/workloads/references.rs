use super::*;

#[test]
fn pinned_references_restart_nothing() {
    let inline = "postgres://${vault:secret/data/db#u}:${vault:secret/data/db#p}@h";
    let from_path = |paths: &str| {
        let annotations = json!({ OWN: "true", "secrets-webhook.security.bank-vaults.io/vault-from-path": paths });
        applied_workload("n/path", &annotations, &json!({}))
    };
    let index = |changes: Vec<Change>| index(changes);
    let event = exact("vault", "secret/data/db");
    let pinned = "vault:secret/data/db#p#1";
    for (change, expected) in [
        (with_variables("n/w", &[inline]), vec!["w+ > "]),
        (
            with_variables("n/w", &[pinned]),
            vec!["w >  - pinned_version"],
        ),
        (with_variables("n/w", &[pinned, inline]), vec!["w+ > "]),
        (with_variables("n/w", &["vault:secret/data/web#p"]), vec![]),
        (from_path("secret/data/db"), vec!["path+ > "]),
        (
            from_path("secret/data/db#1"),
            vec!["path >  - pinned_version"],
        ),
        (from_path("secret/data/a,secret/data/db"), vec!["path+ > "]),
    ] {
        assert_eq!(
            restarts(&index(vec![change.clone()]), &event),
            expected,
            "{change:?}"
        );
    }
}

#[test]
fn a_reference_is_compared_in_its_place() {
    let at = |name: &str, value: &str| {
        let annotation = format!("vault.security.banzaicloud.io/{name}");
        applied_workload(
            "n/w",
            &json!({ OWN: "true", annotation: value }),
            &json!({ "env": [{ "value": "vault:secret/data/db#p" }] }),
        )
    };
    for (annotation, scope, restarted) in [
        (("vault-namespace", "team-a"), ("namespace", "team-a"), true),
        (
            ("vault-namespace", "team-a"),
            ("namespace", "team-b"),
            false,
        ),
        (("vault-namespace", "team-a"), ("other", "x"), true),
        (("vault-role", "x"), ("namespace", "team-b"), true),
        (
            ("vault-addr", "https://vault.a:8200"),
            ("host", "vault.a"),
            true,
        ),
        (
            ("vault-addr", "https://vault.a:8200"),
            ("host", "vault.b"),
            false,
        ),
        (("vault-path", "kubernetes"), ("mount", "secret"), true),
        (("vault-path", "kubernetes"), ("mount", "kv"), false),
    ] {
        let index = index([at(annotation.0, annotation.1)]);
        for provider in ["vault", "openbao"] {
            let event = Event {
                scope: [(scope.0.to_owned(), scope.1.to_owned())].into(),
                ..exact(provider, "secret/data/db")
            };
            assert_eq!(
                restarts(&index, &event).len() == 1,
                restarted,
                "{annotation:?} {scope:?}"
            );
        }
    }
}

#[test]
fn references_of_every_provider_are_found() {
    let written = ">>vault:database/creds/x#password";
    for (value, provider, changed, restarted) in [
        ("vault:secret/data/db#p", "vault", "secret/data/db", true),
        ("vault:secret/data/db#p", "vault", "secret/db", true),
        ("vault:secret/data/db#p", "generic", "secret/data/db", true),
        ("vault:secret/data/db#p", "aws-sm", "secret/data/db", false),
        ("vault:kv/db#p", "vault", "kv/db", true),
        ("bao:secret/data/db#p", "openbao", "secret/data/db", true),
        (written, "vault", "database/creds/x", true),
        (written, "vault", "/database/creds/x", true),
        (written, "vault", "database/creds", false),
        (">>vault:kv/data/x#y", "vault", "kv/x", false),
        (
            "arn:aws:secretsmanager:eu:1:secret:db-AbCdEf",
            "aws-sm",
            "db",
            true,
        ),
        (
            "arn:aws:secretsmanager:eu:1:secret:db-AbCdEf",
            "aws-sm",
            "web",
            false,
        ),
        ("arn:aws:ssm:eu:1:parameter/a/b", "aws-ps", "/a/b", true),
    ] {
        let index = index([with_variables("n/w", &[value])]);
        let found = restarts(&index, &exact(provider, changed));
        assert_eq!(found.len() == 1, restarted, "{value} {provider} {changed}");
    }
}
