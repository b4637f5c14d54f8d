use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    nats: Nats,
    #[serde(with = "duration")]
    grace: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nats {
    url: String,
    password_file: Option<SecretFile>,
    #[expect(dead_code, reason = "the tests set it and expect a refusal")]
    password: Option<Secret>,
}

fn load_text(yaml: &str) -> Result<Sample, ConfigError> {
    let name = yaml.bytes().fold(0_u64, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(byte.into())
    });
    let path: PathBuf = std::env::temp_dir().join(format!(
        "eso-relay-config-{}-{name}.yaml",
        std::process::id()
    ));
    std::fs::write(&path, yaml).unwrap();
    let loaded = load(Some(&path));
    std::fs::remove_file(&path).unwrap();
    loaded
}

#[test]
fn durations_and_files_read_as_people_write_them() {
    let sample =
        load_text("nats: { url: 'nats://n:4222', password_file: /run/pw }\ngrace: 1m 30s\n")
            .unwrap();
    assert_eq!(sample.nats.url, "nats://n:4222");
    assert_eq!(sample.nats.password_file, Some(SecretFile::new("/run/pw")));
    assert_eq!(sample.grace, Duration::from_secs(90));
}

#[test]
fn an_unknown_field_is_refused_with_the_nearest_known_name() {
    let error = load_text("nats: { ulr: 'nats://n:4222' }\ngrace: 2s\n")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("unknown field `ulr`") && error.ends_with("did you mean `url`?"),
        "{error}"
    );
}

#[test]
fn a_secret_in_the_file_is_refused_and_both_right_places_are_named() {
    let error = load_text("nats: { url: x, password: hunter2 }\ngrace: 2s\n")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`nats.password_file`") && error.contains("ESO_RELAY__NATS__PASSWORD"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_duration_without_a_unit_is_explained() {
    let error = load_text("nats: { url: x }\ngrace: soon\n")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`soon` is not a duration such as 2s or 24h"),
        "{error}"
    );
}

#[derive(Debug, Deserialize)]
struct Delay {
    #[serde(with = "duration::or_zero")]
    delay: Duration,
}

#[test]
fn a_duration_of_zero_is_refused_unless_it_has_a_meaning() {
    let error = load_text("nats: { url: x }\ngrace: 0s\n")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("0 is not allowed") && error.contains("for key `grace`"),
        "{error}"
    );

    let delay: Delay = serde_json::from_str(r#"{"delay":"0s"}"#).unwrap();
    assert_eq!(delay.delay, Duration::ZERO);
}

#[test]
fn a_number_that_loses_its_zeros_is_refused_where_a_text_belongs() {
    let error = load_text("nats: { url: x, user: 007 }\ngrace: 2s\n")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`nats.user`") && error.contains("write \"007\" in quotes"),
        "{error}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let error = load::<Sample>(Some(Path::new("/nowhere/consumer.yaml")))
        .unwrap_err()
        .to_string();
    assert!(error.contains("/nowhere/consumer.yaml"), "{error}");
}

#[test]
fn a_missing_setting_is_named_with_its_variable() {
    let error = load_text("nats: {}\ngrace: 2s\n").unwrap_err().to_string();
    assert!(
        error.contains("`nats.url` is missing") && error.contains("ESO_RELAY__NATS__URL"),
        "{error}"
    );
}
