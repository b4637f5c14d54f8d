mod limits;
mod polls;

use serde_json::json;

use super::*;

fn config(settings: serde_json::Value) -> IngressConfig {
    serde_json::from_value(settings).unwrap()
}

fn open(config: &IngressConfig) -> Result<BTreeMap<Slug, Source>, ConfigError> {
    config.open_sources(&Outgoing::new(&config.outgoing)?)
}

fn refused(settings: serde_json::Value) -> String {
    let config = config(settings);
    let checked = config
        .check()
        .and_then(|()| open(&config).map(drop))
        .and_then(|()| config.open_tls().map(drop));
    checked.unwrap_err().to_string()
}

/// A file with a secret.
const SECRET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/routes/tests/secret");

fn source(name: &str, more: &serde_json::Value) -> serde_json::Value {
    let mut source = json!({ "name": name, "format": "akeyless", "auth": { "basic": { "username": "eso", "password_file": SECRET } } });
    source
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    source
}

#[test]
fn the_least_that_works_is_enough_and_is_shown_without_secrets() {
    let mut config = config(
        json!({ "sources": [source("akeyless-prod", &json!({ "target": { "stores": [{ "kind": "ClusterSecretStore", "name": "akeyless*" }], "namespaces": ["*"] } }))] }),
    );
    config.check().unwrap();
    assert_eq!(open(&config).unwrap().len(), 1);
    config.webhook = AkeylessTriggerConfig::from(|_| Some("hunter2-or-so".to_owned())).unwrap();
    let shown = config::effective(&config);
    assert!(
        shown.contains("[redacted]") && shown.contains("\"drain_delay\": \"5s\""),
        "{shown}"
    );
    assert_eq!(
        shown.matches("hunter2-or-so").count(),
        1,
        "only the user's name: {shown}"
    );
}

#[test]
fn a_mistake_is_named_with_its_source_and_what_mends_it() {
    let one = |more| json!({ "sources": [source("a", &more)] });
    let auth = |auth: serde_json::Value| one(json!({ "auth": auth }));
    for (settings, expected) in [
        (
            json!({}),
            &["`sources`", "BASIC_AUTH_USER and BASIC_AUTH_PASSWORD"][..],
        ),
        (
            json!({ "sources": [source("a", &json!({})), source("a", &json!({}))] }),
            &["source `a` is configured twice"],
        ),
        (
            auth(json!({ "bearer": { "token_file": "/nowhere" } })),
            &["source `a`", "/nowhere", "No such file"],
        ),
        (
            auth(json!({ "bearer": { "token_file": "/dev/null" } })),
            &["source `a`", "/dev/null is not a regular file"],
        ),
        (
            auth(json!({ "bearer": { "token_file": [] } })),
            &["source `a`", "name one"],
        ),
        (
            auth(json!({ "basic": { "username": "a:b", "password_file": SECRET } })),
            &["source `a`", "auth.basic.username"],
        ),
        (
            auth(
                json!({ "all": [{ "basic": { "username": "eso", "password_file": SECRET } }, { "mtls": { "san": "a" } }] }),
            ),
            &["source `a`", "`tls.client_ca_file`"],
        ),
        (
            auth(json!({ "any": [{ "sns": {} }] })),
            &["source `a`", "`auth.sns`", "aws-sns", "`topics`"],
        ),
        (
            auth(json!({ "any": [] })),
            &["source `a`", "auth.any is empty"],
        ),
        (
            auth(json!({ "hmac-sha256": { "secret_file": SECRET, "header": "no header" } })),
            &["source `a`", "auth.hmac-sha256.header"],
        ),
        (
            one(json!({ "format": "generic" })),
            &["source `a`", "`mapping.keys`"],
        ),
        (
            one(json!({ "format": "generic", "mapping": { "keys": "/k", "types": ["x"] } })),
            &["source `a`", "`mapping.type`"],
        ),
        (
            one(json!({ "mapping": {} })),
            &["source `a`", "remove `mapping`"],
        ),
        (
            one(json!({ "format": "cloudevents", "mapping": { "id": "/id" } })),
            &["source `a`", "remove events, each, id"],
        ),
        (
            json!({ "sources": [source("a", &json!({}))], "body_limit": 20_000_000 }),
            &["`max_buffered`", "`body_limit`"],
        ),
        (
            one(json!({ "limits": { "requests_per_second": 0 } })),
            &["source `a`", "`limits.requests_per_second` is 0"],
        ),
        (
            one(json!({ "limits": { "buffered": 1000 } })),
            &["source `a`", "`limits.buffered` (1000)", "`body_limit`"],
        ),
        (
            json!({ "sources": [source("a", &json!({}))], "max_connections": 0 }),
            &["`max_connections` is 0"],
        ),
        (
            json!({ "sources": [source("a", &json!({}))], "shutdown": { "grace": "5s" } }),
            &["`shutdown.grace`"],
        ),
        (
            json!({ "sources": [source("a", &json!({}))], "tls": { "cert_file": SECRET } }),
            &["set both `tls.cert_file` and `tls.key_file`"],
        ),
        (
            json!({ "sources": [source("a", &json!({}))], "tls": { "cert_file": "/nowhere", "key_file": SECRET } }),
            &["`tls.cert_file`: /nowhere", "No such file", "name another"],
        ),
    ] {
        let error = refused(settings);
        for part in expected {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    }
}

#[test]
fn a_path_that_hides_a_source_and_a_host_that_nobody_asks_for_are_refused() {
    for (settings, expected) in [
        (
            json!({ "sources": [source("a", &json!({}))], "base_path": "/v1" }),
            &["`base_path` (/v1)", "/eso-relay"],
        ),
        (
            json!({ "sources": [source("a", &json!({}))], "health_path": "/v1/hooks/a" }),
            &["`health_path` (/v1/hooks/a)", "/healthz"],
        ),
        (
            json!({ "sources": [source("a", &json!({ "confirm": ["oracle"] }))] }),
            &["source `a`", "remove `confirm`"],
        ),
    ] {
        let error = refused(settings);
        for part in expected {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    }
}

#[test]
fn a_duration_of_zero_is_refused_where_it_cannot_work() {
    let one = |more| json!({ "sources": [source("a", &more)] });
    let auth = |auth: serde_json::Value| one(json!({ "auth": auth }));
    for settings in [
        json!({ "request_timeout": "0s" }),
        json!({ "header_timeout": "0ms" }),
        json!({ "idle_timeout": "0s" }),
        json!({ "write_timeout": "0s" }),
        json!({ "max_connection_age": "0s" }),
        one(json!({ "deadline": "0s" })),
        json!({ "shutdown": { "grace": "0s" } }),
        json!({ "publish": { "deadline": "0s" } }),
        json!({ "publish": { "attempt_timeout": "0s" } }),
        one(json!({ "max_age": "0s" })),
        auth(json!({ "sns": { "max_age": "0s" } })),
        auth(json!({ "standard-webhooks": { "secret_file": SECRET, "tolerance": "0s" } })),
        auth(
            json!({ "hmac-sha256": { "preset": "infisical", "secret_file": SECRET, "tolerance": "0s" } }),
        ),
    ] {
        let error = serde_json::from_value::<IngressConfig>(settings.clone()).unwrap_err();
        assert!(
            error.to_string().contains("0 is not allowed"),
            "{settings}: {error}"
        );
    }
    let jwt = json!({ "preset": "google", "leeway": "0s" });
    for settings in [
        json!({ "shutdown": { "drain_delay": "0s" } }),
        auth(json!({ "jwt": jwt })),
    ] {
        assert!(
            serde_json::from_value::<IngressConfig>(settings.clone()).is_ok(),
            "{settings}"
        );
    }
}

/// Both would be `/sources/webhook` in the stream.
#[test]
fn a_source_has_another_name_than_the_drop_in() {
    let mut config = config(json!({ "sources": [source("webhook", &json!({}))] }));
    config.check().unwrap();
    config.webhook = AkeylessTriggerConfig::from(|_| Some("eso".to_owned())).unwrap();
    let error = config.check().unwrap_err().to_string();
    assert!(
        error.contains("source `webhook`") && error.contains("another `name`"),
        "{error}"
    );
}

#[test]
fn an_unknown_setting_is_refused_wherever_it_stands() {
    for settings in [
        json!({ "listne": "0.0.0.0:1" }),
        json!({ "tls": { "ca_file": "ca.crt" } }),
        json!({ "webhook": { "username": "a", "password": "b" } }),
        json!({ "sources": [source("a", &json!({ "target": { "namespace": ["a"] } }))] }),
        json!({ "sources": [source("a", &json!({ "target": { "stores": [{ "name": "a", "kidn": "SecretStore" }] } }))] }),
        json!({ "sources": [source("a", &json!({ "auth": { "none": {} } }))] }),
        json!({ "sources": [source("a", &json!({ "mapping": { "key": "/a" } }))] }),
        json!({ "base_path": "eso-relay" }),
        json!({ "sources": [source("a", &json!({ "confirm": ["https://a.example"] }))] }),
        json!({ "sources": [source("Not A Slug", &json!({}))] }),
    ] {
        assert!(
            serde_json::from_value::<IngressConfig>(settings.clone()).is_err(),
            "{settings}"
        );
    }
}

#[test]
fn the_yaml_of_the_documentation_is_read() {
    let path = std::env::temp_dir().join(format!("eso-relay-ingress-{}.yaml", std::process::id()));
    let yaml = format!(
        r#"
listen: 127.0.0.1:0
request_timeout: 3s
sources:
  - name: akeyless-prod
    format: akeyless
    auth: {{ basic: {{ username: eso, password_file: {SECRET} }} }}
    target: {{ stores: [{{ kind: ClusterSecretStore, name: "akeyless*" }}], namespaces: ["*"] }}
  - name: github
    format: generic
    auth: {{ hmac-sha256: {{ secret_file: [{SECRET}, {SECRET}], header: X-Hub-Signature-256, prefix: "sha256=" }} }}
    mapping: {{ keys: [/secret/name], id: /id }}
    scope: {{ repository: a }}
  - name: aws
    format: aws-sns
    auth: {{ sns: {{}} }}
    topics: [arn:aws:sns:eu-west-1:012345678901:secrets]
"#
    );
    std::fs::write(&path, yaml).unwrap();
    let loaded = config::load::<IngressConfig>(Some(&path));
    std::fs::remove_file(&path).unwrap();
    let config = loaded.unwrap();
    assert_eq!(config.request_timeout, Duration::from_secs(3));
    assert_eq!(open(&config).unwrap().len(), 3);
}

/// What the loader makes of the `auth` of a source, as YAML.
fn loaded_auth(auth: &str) -> Result<String, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ingress.yaml");
    let yaml = format!(
        "sources:\n  - name: aws\n    format: aws-sns\n    topics: [a]\n    auth: {auth}\n"
    );
    std::fs::write(&path, yaml).unwrap();
    match config::load::<IngressConfig>(Some(&path)) {
        Ok(config) => Ok(format!("{:?}", config.sources[0].auth)),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn a_scheme_without_settings_is_written_as_its_name_or_with_none() {
    let default = loaded_auth("{ sns: {} }").unwrap();
    assert!(default.contains("Sns(") && default.contains("5400s"));
    assert_eq!(loaded_auth("sns").unwrap(), default);
    assert_eq!(loaded_auth("none").unwrap(), "None");
    let all = loaded_auth("{ all: [sns, { sns: { max_age: 90m } }] }").unwrap();
    assert_eq!(all, format!("All([{default}, {default}])"));
}

#[test]
fn a_scheme_that_lacks_its_settings_is_named() {
    for (auth, expected) in [
        ("basic", "`basic` alone is no scheme"),
        ("{ any: [sns, basic] }", "`basic` alone is no scheme"),
        ("{ sns: }", "expected struct SnsConfig"),
        ("{ sns: { maxage: 1h } }", "`max_age`"),
        ("{ nss: {} }", "unknown variant `nss`"),
        (
            "{ sns: {}, bearer: { token_file: a } }",
            "auth names two schemes",
        ),
        ("3", "a scheme such as"),
    ] {
        let error = loaded_auth(auth).unwrap_err();
        assert!(error.contains(expected), "{auth}: {error}");
    }
}

#[test]
fn a_source_is_answered_before_its_sender_gives_up() {
    let deadline = |more: serde_json::Value, publish: &str| {
        let config =
            config(json!({ "sources": [source("a", &more)], "publish": { "deadline": publish } }));
        config.check().unwrap();
        let sources = open(&config).unwrap();
        sources.values().next().unwrap().deadline
    };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let format = |format: &str| json!({ "format": format });
    assert_eq!(deadline(format("aws-eventbridge"), "8s"), seconds(4));
    assert_eq!(deadline(format("aws-eventbridge"), "3s"), seconds(3));
    let own = json!({ "format": "aws-eventbridge", "deadline": "2s" });
    assert_eq!(deadline(own, "8s"), seconds(2));
    assert_eq!(deadline(format("gcp-pubsub"), "20s"), seconds(9));
    // Nothing is known of the sender.
    assert_eq!(deadline(format("akeyless"), "8s"), None);
}

#[test]
fn networks_of_proxies_are_read_or_named() {
    let read = config(json!({ "trusted_proxies": ["10.0.0.0/8", "2001:db8::1"] }));
    assert_eq!(read.trusted_proxies.len(), 2);
    let error = serde_json::from_value::<IngressConfig>(json!({ "trusted_proxies": ["10/8"] }));
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("`10/8` is not a network")
    );
}
