//! Examples of configurations, and the reference of all settings, against the daemons' `--check`.

use std::{collections::BTreeMap, path::Path, process::Output};

use eso_relay_lab::daemon::Binary;
use serde_json::Value;

use super::{KUBERNETES, blocks, code, documents, path, read, rows};

/// Where the examples keep their secrets.
const SECRETS: &str = "/etc/eso-relay/";
/// What is in each of them: good for every scheme.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const REFERENCE: &str = "docs/configuration.md";

/// What `--check` says of a file.
async fn check(binary: Binary, file: Option<&Path>, env: &[(&str, &str)]) -> Output {
    let mut command = tokio::process::Command::new(binary.path().await.unwrap());
    for (name, _) in std::env::vars() {
        if name.starts_with("ESO_RELAY_") || name.starts_with("BASIC_AUTH_") {
            command.env_remove(name);
        }
    }
    if let Some(file) = file {
        command.arg("--config").arg(file);
    }
    let command = command.arg("--check").envs(env.iter().copied());
    command.output().await.unwrap()
}

/// Writes the example beside the secret files that it names, and checks it.
pub(crate) async fn check_example(binary: Binary, yaml: &str, env: &[(&str, &str)]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for rest in yaml.split(SECRETS).skip(1) {
        let name = rest.split([',', ']', '}', ' ', '\n']).next().unwrap();
        let secret = dir.path().join(name);
        std::fs::create_dir_all(secret.parent().unwrap()).unwrap();
        let text = match secret.extension().and_then(|it| it.to_str()) {
            Some("crt") => pair.cert.pem(),
            Some("key") => pair.signing_key.serialize_pem(),
            _ => SECRET.to_owned(),
        };
        std::fs::write(secret, text).unwrap();
    }
    let yaml = yaml.replace(SECRETS, &format!("{}/", dir.path().display()));
    let file = dir.path().join("config.yaml");
    std::fs::write(&file, yaml).unwrap();
    check(binary, Some(&file), env).await
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every setting with its value; elements of a list are `[]`.
fn settings(value: &Value, at: &str, found: &mut BTreeMap<String, Value>) {
    let below = |name: &str| match at {
        "" => name.to_owned(),
        at => format!("{at}.{name}"),
    };
    match value {
        // Its names are the user's own.
        Value::Object(_)
            if matches!(at.rsplit('.').next(), Some("scope" | "projects" | "claims")) =>
        {
            found.insert(at.to_owned(), value.clone());
        }
        Value::Object(object) => {
            for (name, value) in object {
                settings(value, &below(name), found);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for value in list {
                settings(value, &format!("{at}[]"), found);
            }
        }
        value => {
            found.insert(at.to_owned(), value.clone());
        }
    }
}

/// The settings that a heading of the reference lists, with their defaults.
fn listed(heading: &str) -> BTreeMap<String, String> {
    rows(&read(REFERENCE), heading)
        .into_iter()
        .map(|row| {
            (
                code(&row[0])[0].clone(),
                row[1].trim_matches('`').to_owned(),
            )
        })
        .collect()
}

fn is_default(value: &Value, listed: &str) -> bool {
    match value {
        Value::Null => listed == "none",
        Value::String(text) => match humantime::parse_duration(text) {
            Ok(duration) => humantime::parse_duration(listed) == Ok(duration),
            Err(_) => listed == text,
        },
        value => {
            let json = value.to_string();
            listed == json
        }
    }
}

#[tokio::test]
async fn every_example_configuration_is_accepted_by_its_daemon() {
    let mut examples = Vec::new();
    for (file, document) in documents() {
        for block in blocks(&document, "yaml") {
            // The tests of manifests apply them; those of other tools are only read.
            let of_others = [
                "# gitops.yaml",
                "# kustomization.yaml",
                "# kyverno.yaml",
                "# prometheus.yaml",
                "# rules.yaml",
            ];
            let of_others = of_others.iter().any(|head| block.starts_with(head));
            if block.starts_with(KUBERNETES) || of_others {
                let objects = serde_saphyr::from_multiple::<Value>(&block);
                objects.unwrap_or_else(|error| panic!("{file}: {error}\n{block}"));
                continue;
            }
            examples.push((file.clone(), block));
        }
    }
    for file in ["ingress", "poller", "consumer"] {
        let file = format!("deploy/kubernetes/{file}.yaml");
        let objects: Vec<Value> = serde_saphyr::from_multiple(&read(&file)).unwrap();
        for object in objects.iter().filter(|it| it["kind"] == "ConfigMap") {
            for (name, text) in object["data"].as_object().unwrap() {
                let text = text.as_str().unwrap();
                examples.push((file.clone(), format!("# {name}\n{text}")));
            }
        }
    }
    let count = |name: &str| {
        let of = examples.iter().filter(|(_, yaml)| yaml.starts_with(name));
        of.count()
    };
    assert!(count("# ingress.yaml") >= 4 && count("# consumer.yaml") >= 4);
    for (file, yaml) in &examples {
        let binary = match yaml.lines().next().unwrap() {
            "# ingress.yaml" => Binary::Ingress,
            "# consumer.yaml" => Binary::Consumer,
            // Applied to the real ESO in `real/webhook_provider.rs`, and rendered by Helm in `chart/documented.rs`.
            "# eso.yaml" | "# hub.yaml" | "# cluster.yaml" | "# poller.yaml" => continue,
            other => panic!("{file}: say in the first line which file it is, not {other:?}"),
        };
        let output = check_example(binary, yaml, &[]).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{file}: {said}\n{yaml}");
    }
}

/// For editors; regenerate with `cargo run -p PACKAGE -- --schema > docs/schema/NAME.schema.json`.
#[tokio::test]
async fn the_schemas_are_those_of_the_code() {
    for (binary, file) in [
        (Binary::Ingress, "docs/schema/ingress.schema.json"),
        (Binary::Consumer, "docs/schema/consumer.schema.json"),
    ] {
        let mut command = tokio::process::Command::new(binary.path().await.unwrap());
        let output = command.arg("--schema").output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed == read(file), "{file} is not what --schema prints");
    }
}

#[tokio::test]
async fn every_setting_stands_in_the_reference_with_its_default() {
    let webhook = [("BASIC_AUTH_USER", "eso"), ("BASIC_AUTH_PASSWORD", "x")];
    let ingress = json(&check(Binary::Ingress, None, &webhook).await);
    let cluster = [("ESO_RELAY__CLUSTER", "required")];
    let consumer = json(&check(Binary::Consumer, None, &cluster).await);
    for (heading, checked) in [("## Ingress", ingress), ("## Consumer", consumer)] {
        let mut listed = listed(heading);
        listed.extend(self::listed("## Both daemons"));
        let mut found = BTreeMap::new();
        settings(&checked, "", &mut found);
        found.retain(|name, _| !name.starts_with("webhook."));
        for (name, value) in &found {
            let Some(default) = listed.get(name) else {
                panic!("{heading}: `{name}` is missing");
            };
            assert!(is_default(value, default), "{name}: {value}, not {default}");
        }
        for name in listed.keys() {
            assert!(found.contains_key(name), "{heading}: no setting `{name}`");
        }
    }
}

#[tokio::test]
async fn every_setting_of_a_source_stands_in_the_reference() {
    const ALL: &str = "
sources:
- name: a
  format: akeyless
  auth: { basic: { username: u, password_file: /etc/eso-relay/a } }
  target: { stores: [{ name: s }] }
- { name: b, format: cloudevents, auth: { bearer: { token_file: /etc/eso-relay/b } } }
- name: c
  format: generic
  auth: { hmac-sha256: { header: x, secret_file: /etc/eso-relay/c } }
  scope: { project: p }
  mapping: { keys: /k, scope: { config: /c } }
- { name: d, format: cloudevents, auth: { header: { name: x, value_file: /etc/eso-relay/d } } }
- { name: e, format: cloudevents, auth: { standard-webhooks: { secret_file: /etc/eso-relay/e } } }
- name: f
  format: gcp-pubsub
  auth: { jwt: { preset: google, audience: a, claims: { email: a@b } } }
- { name: h, format: aws-sns, topics: [t], auth: sns }
- { name: g, format: akeyless, auth: { mtls: { san: a } } }
tls: { cert_file: /etc/eso-relay/tls.crt, key_file: /etc/eso-relay/tls.key, client_ca_file: /etc/eso-relay/ca.crt }
";
    let checked = json(&check_example(Binary::Ingress, ALL, &[]).await);
    let mut found = BTreeMap::new();
    settings(&checked["sources"], "sources", &mut found);
    let mut listed = listed("### Sources");
    listed.extend(self::listed("#### Authentication"));
    for name in found.keys() {
        // An absent section shows as null.
        let section = |other: &String| other.starts_with(&format!("{name}."));
        let known = listed.contains_key(name) || listed.keys().any(section);
        assert!(known, "`{name}` is missing");
    }
    for name in listed.keys() {
        let section = |other: &String| other.starts_with(&format!("{name}."));
        let known = found.contains_key(name) || found.keys().any(section);
        assert!(known, "no setting `{name}`");
    }
}

#[tokio::test]
async fn every_setting_of_a_poll_stands_in_the_reference() {
    const ALL: &str = "
listen: none
polls:
- name: a
  provider: vault
  address: https://vault.example.com
  auth: { kubernetes: { role: r, token_file: /etc/eso-relay/a } }
  target: { stores: [{ name: s }] }
- { name: b, provider: openbao, address: 'https://b', auth: { token_file: /etc/eso-relay/b } }
- { name: c, provider: vault, address: 'https://c', auth: { jwt: { role: r, token_file: /etc/eso-relay/c } } }
- { name: d, provider: vault, address: 'https://d', auth: { approle: { role_id: r, secret_id_file: /etc/eso-relay/d } } }
";
    let checked = json(&check_example(Binary::Ingress, ALL, &[]).await);
    let mut found = BTreeMap::new();
    settings(&checked["polls"], "polls", &mut found);
    // An absent section shows as null.
    found.retain(|name, value| name != "polls[].target" || !value.is_null());
    let listed = listed("### Polls");
    let missing: Vec<_> = found
        .keys()
        .filter(|name| !listed.contains_key(*name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    for name in listed.keys().filter(|name| *name != "polls[].target") {
        assert!(found.contains_key(name), "no setting `{name}`");
    }
}

#[tokio::test]
async fn only_a_source_that_calls_somebody_needs_the_roots_of_the_system() {
    let no_roots = [("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/nowhere")];
    let dir = tempfile::tempdir().unwrap();
    let (secret, file) = (dir.path().join("secret"), dir.path().join("ingress.yaml"));
    std::fs::write(&secret, SECRET).unwrap();
    let bearer = format!("bearer: {{ token_file: '{}' }}", secret.display());
    let google = "jwt: { preset: google, audience: a, claims: { email: a@b } }".to_owned();
    for (auth, starts) in [(bearer, true), (google, false)] {
        let source = format!("{{ name: a, format: akeyless, auth: {{ {auth} }} }}");
        std::fs::write(&file, format!("sources: [{source}]")).unwrap();
        let output = check(Binary::Ingress, Some(&file), &no_roots).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), starts, "{auth}: {said}");
        assert_eq!(said.contains("source `a`"), !starts, "{said}");
        assert_eq!(said.contains("`outgoing.ca_file`"), !starts, "{said}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_configuration_is_one_line_without_a_trace() {
    let nowhere = path("nowhere.yaml");
    for binary in [Binary::Ingress, Binary::Consumer] {
        let output = check(binary, Some(&nowhere), &[("RUST_BACKTRACE", "1")]).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("nowhere.yaml: No such file"), "{said}");
    }
}
