use serde_json::json;

use super::*;
use crate::object::Rollout;

const SEED: &str = "secrets-reloader.security.bank-vaults.io/reload-on-secret-change";
const OLD_SEED: &str = "alpha.vault.security.banzaicloud.io/reload-on-secret-change";

/// Annotations of a workload and of its pod template, and its pods.
struct Case<'a> {
    object: &'a [(&'a str, &'a str)],
    template: &'a [(&'a str, &'a str)],
    pod: Value,
}

impl Case<'_> {
    fn workload_of(&self, kind: WorkloadKind, honour: &[Honour]) -> Option<Workload> {
        let annotations = |list: &[(&str, &str)]| -> Value {
            let list = list
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value)));
            Value::Object(list.collect())
        };
        let metadata = json!({ "resourceVersion": "7", "annotations": annotations(self.object) });
        let template =
            json!({ "metadata": { "annotations": annotations(self.template) }, "spec": self.pod });
        let manifest = Manifest::of(&metadata, &json!({ "template": template }), &Value::Null);
        manifest.workload(ObjectRef::workload(kind, "team", "web"), honour)
    }

    fn workload(&self, honour: &[Honour]) -> Option<Workload> {
        self.workload_of(WorkloadKind::Deployment, honour)
    }
}

/// Reads the Secret `env` and the ConfigMap `settings` in variables, the Secret `files` as a volume, and
/// `secret/data/db` of Vault.
fn pod() -> Value {
    json!({
        "containers": [{
            "env": [{ "name": "DB", "value": "vault:secret/data/db#password" }],
            "envFrom": [{ "secretRef": { "name": "env" } }, { "configMapRef": { "name": "settings" } }],
        }],
        "volumes": [{ "name": "files", "secret": { "secretName": "files" } }],
    })
}

/// What such a workload is restarted for; `None` if it has not opted in.
fn restarted_for(
    object: &[(&str, &str)],
    template: &[(&str, &str)],
    honour: &[Honour],
) -> Option<Vec<String>> {
    let workload = Case {
        object,
        template,
        pod: pod(),
    }
    .workload(honour)?;
    let mut all: Vec<_> = workload
        .reads
        .iter()
        .map(|read| read.values.to_string())
        .collect();
    all.extend(
        workload
            .references
            .iter()
            .map(|reference| reference.key.to_string()),
    );
    all.sort();
    Some(all)
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn a_workload_opts_in_by_our_annotation() {
    let (own, volumes) = ("eso-relay.dev/restart", "eso-relay.dev/restart-volumes");
    let everything = Some(names(&[
        "ConfigMap/settings",
        "Secret/env",
        "secret/data/db",
    ]));
    for (object, template, expected) in [
        (&[][..], &[][..], None),
        (&[(own, "true")], &[], everything.clone()),
        (&[], &[(own, "true")], everything.clone()),
        (&[(own, "false")], &[(own, "true")], None),
        (&[(own, "")], &[], None),
        (
            &[(own, "other, env")],
            &[],
            Some(names(&["Secret/env", "Secret/other"])),
        ),
        (
            &[(own, "true,other")],
            &[],
            Some(names(&[
                "ConfigMap/settings",
                "Secret/env",
                "Secret/other",
                "secret/data/db",
            ])),
        ),
        (
            &[(own, "true"), (volumes, "true")],
            &[],
            Some(names(&[
                "ConfigMap/settings",
                "Secret/env",
                "Secret/files",
                "secret/data/db",
            ])),
        ),
        (
            &[(own, "files"), (volumes, "false")],
            &[],
            Some(names(&["Secret/files"])),
        ),
        (&[(volumes, "true")], &[], None),
    ] {
        assert_eq!(
            restarted_for(object, template, &[]),
            expected,
            "{object:?} {template:?}"
        );
    }
}

#[test]
fn the_seeds_annotations_opt_in_for_references() {
    let references = Some(names(&["secret/data/db"]));
    for (object, template, expected) in [
        (
            &[][..],
            &[(SEED, "true")][..],
            Some(Counter::SecretsReloader),
        ),
        (&[], &[(OLD_SEED, "true")], Some(Counter::Banzaicloud)),
        (
            &[],
            &[(OLD_SEED, "true"), (SEED, "true")],
            Some(Counter::SecretsReloader),
        ),
        (&[(SEED, "true")], &[], None),
        (&[], &[(SEED, "True")], None),
        (&[], &[(SEED, "1")], None),
        (&[], &[(OLD_SEED, "false")], None),
    ] {
        let found = restarted_for(object, template, &[]);
        assert_eq!(
            found,
            expected.and(references.clone()),
            "{object:?} {template:?}"
        );
        let workload = Case {
            object,
            template,
            pod: pod(),
        }
        .workload(&[]);
        assert_eq!(workload.map(|workload| workload.state.counter), expected);
    }
    let both = Case {
        object: &[("eso-relay.dev/restart", "true")],
        template: &[(SEED, "true")],
        pod: pod(),
    };
    assert_eq!(both.workload(&[]).unwrap().state.counter, Counter::Own);
}

/// Its own tests, as data.
#[test]
fn the_seeds_workloads_are_read_as_it_does() {
    let env = |values: &[&str]| -> Value {
        values
            .iter()
            .map(|value| json!({ "name": "X", "value": value }))
            .collect()
    };
    let aws = "vault:secret/data/accounts/aws#AWS_SECRET_ACCESS_KEY";
    let mysql = "vault:secret/data/mysql#${.MYSQL_PASSWORD}";
    let none = [
        "secret/data/accounts/gcp#GCP_SECRET",
        "vault:secret/data/accounts/azure",
        "value1",
    ];
    let pinned = "vault:secret/data/dockerrepo#${.DOCKER_REPO_PASSWORD}#1";
    let from_path = "secrets-webhook.security.bank-vaults.io/vault-from-path";
    let old_from_path = "vault.security.banzaicloud.io/vault-env-from-path";
    for (init, containers, annotation, expected) in [
        (
            &[aws][..],
            &[aws][..],
            None,
            &["secret/data/accounts/aws"][..],
        ),
        (&[], &[mysql], None, &["secret/data/mysql"]),
        (&[], &none, None, &[]),
        (&[], &[pinned], None, &[]),
        (&[], &[pinned, mysql], None, &["secret/data/mysql"]),
        (
            &[],
            &[],
            Some((from_path, "secret/data/foo,secret/data/bar#1")),
            &["secret/data/foo"],
        ),
        (
            &[],
            &[pinned],
            Some((from_path, "secret/data/accounts/aws")),
            &["secret/data/accounts/aws"],
        ),
        (&[], &[], Some((from_path, "secret/data/dockerrepo#1")), &[]),
        (
            &[],
            &[],
            Some((old_from_path, "secret/data/foo")),
            &["secret/data/foo"],
        ),
    ] {
        let mut template = vec![(SEED, "true")];
        template.extend(annotation);
        let pod = json!({ "initContainers": [{ "env": env(init) }], "containers": [{ "env": env(containers) }] });
        let workload = Case {
            object: &[],
            template: &template,
            pod,
        }
        .workload(&[])
        .unwrap();
        let moving = workload
            .references
            .iter()
            .filter(|reference| reference.takes == Takes::Newest);
        let moving: Vec<_> = moving.map(|reference| &*reference.key).collect();
        assert_eq!(moving, expected, "{containers:?} {annotation:?}");
        assert_eq!(workload.may_restart(), !expected.is_empty());
    }
}

#[test]
fn annotations_of_reloader_count_where_honoured() {
    let (auto, secrets, config_maps) = (
        "reloader.stakater.com/auto",
        "secret.reloader.stakater.com/auto",
        "configmap.reloader.stakater.com/auto",
    );
    let exclude = "secrets.exclude.reloader.stakater.com/reload";
    let search = "reloader.stakater.com/search";
    let all = Some(names(&["ConfigMap/settings", "Secret/env", "Secret/files"]));
    for (object, template, expected) in [
        (&[(auto, "true")][..], &[][..], all.clone()),
        (&[], &[(auto, "true")], all.clone()),
        (&[(auto, "1")], &[], all.clone()),
        (&[(auto, "yes")], &[], None),
        (&[(auto, "false")], &[(auto, "true")], None),
        (
            &[(secrets, "true")],
            &[],
            Some(names(&["Secret/env", "Secret/files"])),
        ),
        (
            &[(config_maps, "true")],
            &[],
            Some(names(&["ConfigMap/settings"])),
        ),
        (
            &[(auto, "true"), (exclude, "other, env")],
            &[],
            Some(names(&["ConfigMap/settings", "Secret/files"])),
        ),
        // What excludes counts on the workload only.
        (&[], &[(auto, "true"), (exclude, "env")], all.clone()),
        (&[(search, "true")], &[], all.clone()),
        (&[(search, "True")], &[], None),
    ] {
        let stakater = [Honour::Stakater];
        assert_eq!(
            restarted_for(object, template, &stakater),
            expected,
            "{object:?} {template:?}"
        );
        assert_eq!(restarted_for(object, template, &[]), None, "off by default");
    }
}

#[test]
fn names_of_reloader_are_regular_expressions() {
    let reload = "secret.reloader.stakater.com/reload";
    let exclude = "secrets.exclude.reloader.stakater.com/reload";
    let names = |object: &[(&str, &str)], values: &ValuesRef| {
        let workload = Case {
            object,
            template: &[],
            pod: json!({}),
        }
        .workload(&[Honour::Stakater]);
        workload
            .and_then(|workload| workload.patterns)
            .is_some_and(|patterns| patterns.name(values))
    };
    let secret = |name: &str| ValuesRef::Secret(name.into());
    for (list, name, expected) in [
        ("a,b-.*", "a", true),
        (" a , b-.* ", "b-1", true),
        ("a,b-.*", "aa", false),
        ("b-.*", "xb-1", false),
        ("(,c", "c", true),
        ("(", "x", false),
        ("", "x", false),
    ] {
        assert_eq!(
            names(&[(reload, list)], &secret(name)),
            expected,
            "{list} {name}"
        );
    }
    assert!(!names(&[(reload, ".*")], &ValuesRef::ConfigMap("a".into())));
    assert!(!names(&[(reload, ".*"), (exclude, "a")], &secret("a")));
    let broken = Case {
        object: &[(reload, "(")],
        template: &[],
        pod: json!({}),
    };
    let workload = broken.workload(&[Honour::Stakater]).unwrap();
    assert!(!workload.may_restart());
    assert_eq!(
        workload.problems,
        [format!(
            "{reload} has a regular expression that cannot be evaluated"
        )]
    );
}

#[test]
fn marks_and_counts_are_read_where_they_are_written() {
    let (marks, count) = ("eso-relay.dev/restarted-for", "eso-relay.dev/restarts");
    let own = ("eso-relay.dev/restart", "true");
    let interval = ("eso-relay.dev/restart-interval", "10m");
    let (one, two) = ("00000000000000000001", "00000000000000000002");
    let both = format!("{one},nonsense, {two}");
    let written = [(marks, both.as_str()), (count, "3"), interval];
    let on_template = Case {
        object: &[own],
        template: &written,
        pod: pod(),
    };
    let state = on_template.workload(&[]).unwrap().state;
    assert!(
        state.marks.contains(one.parse().unwrap()) && state.marks.contains(two.parse().unwrap())
    );
    assert_eq!(
        (state.marks.iter().count(), state.restarts, &*state.version),
        (2, 3, "7")
    );
    assert_eq!(state.interval, Some(Duration::from_secs(600)));
    assert_eq!(state.rollout, Rollout::Rolling);
    let rollout = |case: &Case<'_>| case.workload_of(WorkloadKind::Rollout, &[]).unwrap().state;
    assert_eq!(rollout(&on_template).restarts, 0);
    let on_object = Case {
        object: &[own, (marks, one), (count, "4")],
        template: &[],
        pod: pod(),
    };
    let state = rollout(&on_object);
    assert_eq!((state.marks.iter().count(), state.restarts), (1, 4));
    for (count, restarts) in [("1", 1), ("x", 0), ("-1", 0), ("", 0)] {
        let counted = [
            (SEED, "true"),
            (
                "secrets-reloader.security.bank-vaults.io/secret-reload-count",
                count,
            ),
        ];
        let case = Case {
            object: &[],
            template: &counted,
            pod: pod(),
        };
        assert_eq!(
            case.workload(&[]).unwrap().state.restarts,
            restarts,
            "{count}"
        );
    }
}
