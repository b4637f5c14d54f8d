use super::*;

/// The references of a pod with this variable and these annotations.
fn references(value: &str, annotations: &[(&str, &str)]) -> Vec<StoreReference> {
    let annotations: serde_json::Map<String, Value> = annotations
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let annotations = Annotations::of(&Value::Null, &json!({ "annotations": annotations }));
    let pod = json!({ "containers": [{ "env": [{ "name": "X", "value": value }] }] });
    of(&pod, &annotations, &mut Problems::default())
}

fn shown(value: &str, annotations: &[(&str, &str)]) -> Vec<String> {
    let references = references(value, annotations).into_iter();
    let shown = references.map(|it| format!("{} {} {:?}", it.backend.provider(), it.key, it.takes));
    shown.collect()
}

#[test]
fn every_form_of_a_reference_is_read() {
    let newest = |path: &str| vec![format!("vault {path} Newest")];
    let pinned = |path: &str| vec![format!("vault {path} Pinned")];
    let both = [newest("secret/data/a"), newest("secret/data/b")].concat();
    for (value, expected) in [
        ("vault:secret/data/db#password", newest("secret/data/db")),
        ("vault:kv/db#password", newest("kv/db")),
        ("vault:secret/data/db#password#1", pinned("secret/data/db")),
        ("vault:secret/data/db#password#x", pinned("secret/data/db")),
        ("vault:secret/data/db#${.A}-${.B}", newest("secret/data/db")),
        ("vault:secret/data/db#${.A}#1", pinned("secret/data/db")),
        ("vault:secret/data/db#", newest("secret/data/db")),
        (
            ">>vault:database/creds/x#password",
            vec!["vault database/creds/x Written".to_owned()],
        ),
        (
            ">>vault:pki/issue/x#certificate#{\"a\": \"b\"}",
            vec!["vault pki/issue/x Written".to_owned()],
        ),
        (
            "postgres://${vault:secret/data/db#u}:${vault:secret/data/db#p}@h",
            newest("secret/data/db"),
        ),
        (
            "a ${vault:secret/data/a#x} b ${vault:secret/data/b#y}",
            both,
        ),
        ("a ${vault:secret/data/a#${.X}} b", newest("secret/data/a")),
        ("a ${vault:secret/data/a#x#3} b", pinned("secret/data/a")),
        (
            "${>>vault:database/creds/x#y}",
            vec!["vault database/creds/x Written".to_owned()],
        ),
        ("bao:secret/data/db#password", newest("secret/data/db")),
        (
            ">>bao:database/creds/x#y",
            vec!["vault database/creds/x Written".to_owned()],
        ),
        ("a ${bao:secret/data/a#x} b", newest("secret/data/a")),
        (
            "arn:aws:secretsmanager:eu:1:secret:db-AbCdEf",
            vec!["aws-sm arn:aws:secretsmanager:eu:1:secret:db-AbCdEf Newest".to_owned()],
        ),
        (
            "arn:aws:secretsmanager:eu:1:secret:db#key",
            vec!["aws-sm arn:aws:secretsmanager:eu:1:secret:db Newest".to_owned()],
        ),
        (
            "arn:aws:ssm:eu:1:parameter/a/b",
            vec!["aws-ps arn:aws:ssm:eu:1:parameter/a/b Newest".to_owned()],
        ),
        ("vault:v1:aGVsbG8=", vec![]),
        ("vault:login", vec![]),
        ("vault:secret/data/db", vec![]),
        ("vault:#password", vec![]),
        ("${vault:secret/data/db", vec![]),
        ("${OTHER} vault:secret/data/db#x", vec![]),
        ("secret/data/db#password", vec![]),
        ("arn:aws:s3:::bucket", vec![]),
        ("hunter2", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(shown(value, &[]), expected, "{value}");
    }
}

#[test]
fn annotations_name_paths_and_places() {
    let (new, old) = (
        "secrets-webhook.security.bank-vaults.io/",
        "vault.security.banzaicloud.io/",
    );
    let name = |prefix: &str, name: &str| format!("{prefix}{name}");
    let both = vec![
        "vault secret/data/foo Newest".to_owned(),
        "vault secret/data/bar Pinned".to_owned(),
    ];
    let of = |annotations: &[(String, &str)]| {
        let annotations: Vec<_> = annotations
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        shown("", &annotations)
    };
    let paths = "secret/data/foo, secret/data/bar#1,";
    assert_eq!(of(&[(name(new, "vault-from-path"), paths)]), both);
    assert_eq!(of(&[(name(old, "vault-env-from-path"), paths)]), both);
    assert_eq!(of(&[(name(new, "bao-from-path"), paths)]), both);
    // The new name goes before the old one, unless it names nothing.
    let old_paths = (name(old, "vault-env-from-path"), "old");
    assert_eq!(
        of(&[(name(new, "vault-from-path"), "new"), old_paths.clone()]),
        ["vault new Newest"]
    );
    assert_eq!(
        of(&[(name(new, "vault-from-path"), ""), old_paths]),
        ["vault old Newest"]
    );
    // A mount of an auth method is no path.
    assert_eq!(
        of(&[
            (name(new, "vault-path"), "kubernetes"),
            (name(new, "vault-role"), "x")
        ]),
        [""; 0]
    );
    for prefix in [new, old] {
        let skipped = [
            (name(prefix, "mutate"), "skip"),
            (name(new, "vault-from-path"), "a"),
        ];
        assert_eq!(of(&skipped), [""; 0], "{prefix}");
    }
}

#[test]
fn the_new_prefix_says_where_before_the_old_one() {
    let (new, old) = (
        "secrets-webhook.security.bank-vaults.io/",
        "vault.security.banzaicloud.io/",
    );
    let place = |annotations: &[(&str, &str, &str)]| {
        let names: Vec<_> = annotations
            .iter()
            .map(|(prefix, name, value)| (format!("{prefix}{name}"), *value))
            .collect();
        let annotations: Vec<_> = names
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let [one] = &references("vault:a#b", &annotations)[..] else {
            panic!("one reference")
        };
        one.backend.clone()
    };
    let at = |address: &str, namespace: &str| {
        let store =
            json!({ "vault": { "version": "v1", "server": address, "namespace": namespace } });
        Backend::of_store(&store).unwrap()
    };
    let (addr, space) = ("vault-addr", "vault-namespace");
    assert_eq!(place(&[]), at("", ""));
    assert_eq!(
        place(&[(old, addr, "https://v:8200"), (old, space, "a")]),
        at("v", "a")
    );
    let both = [
        (new, addr, "https://new"),
        (old, addr, "https://old"),
        (new, space, "n"),
        (old, space, "o"),
    ];
    assert_eq!(place(&both), at("new", "n"));
    assert_eq!(place(&[(new, "bao-addr", "https://b")]), at("", ""));
}
