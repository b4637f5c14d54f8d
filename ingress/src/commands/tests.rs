use std::path::PathBuf;

use clap::{CommandFactory as _, Parser};
use serde_json::{Value, json};

use super::{explain::Report, *};

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

const AKEYLESS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/src/source/fixtures/akeyless-array.json"
);

fn clock() -> Timestamp {
    "2026-08-08T12:00:00Z".parse().unwrap()
}

fn parse(line: &[&str]) -> Command {
    Line::try_parse_from([&["eso-relay-ingress"], line].concat())
        .unwrap_or_else(|error| panic!("{error}"))
        .command
}

async fn explained(line: &[&str], config: Option<&Path>) -> Result<Report, Failure> {
    match parse(line) {
        Command::Explain(args) => explain::report(&args, config, clock()).await,
        _ => panic!("{line:?}"),
    }
}

fn config(directory: &tempfile::TempDir, auth: &Value) -> PathBuf {
    let file = directory.path().join("ingress.yaml");
    let config = json!({ "sources": [{ "name": "prod", "format": "akeyless", "auth": auth }] });
    // JSON is YAML.
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

fn said(failure: Failure) -> (u8, String) {
    match failure {
        Failure::Failed(error) => (1, format!("{error:#}")),
        Failure::Usage(message) => (2, message),
        Failure::Refused(message) => (3, message),
    }
}

#[test]
fn the_command_line_is_sound() {
    Line::command().debug_assert();
}

#[tokio::test]
async fn a_payload_is_shown_as_it_would_stand_in_the_stream() {
    let report = explained(&["explain", "--format", "akeyless", AKEYLESS], None).await;
    let report = report.unwrap();
    let shown = serde_json::to_value(&report).unwrap();
    assert_eq!(shown["authenticated"], false);
    assert_eq!(shown["events"][0]["data"]["keys"], json!(["/prod/db"]));
    assert_eq!(shown["events"][0]["source"], "/sources/explained");
    assert_eq!(shown["ignored"][0]["element"], 1);
    assert_eq!(shown["ignored"][0]["reason"], "type");
    let text = report.to_string();
    assert!(!format!("{shown}{text}").contains("do-not-leak"));
    insta::assert_snapshot!(text, @r"
    ELEMENT  EVENT           PROVIDER  KEYS             SCOPE  ID
    0        secret.changed  akeyless  /prod/db         -      123
    2        secret.changed  akeyless  /prod/cache key  -      a-125

    ELEMENT  IGNORED  BECAUSE
    1        type     events of this type change no value, or are not listed in `mapping.types`

    Nothing was authenticated, and nothing was sent.
    ");
}

#[tokio::test]
async fn a_source_is_explained_without_its_secret_files() {
    let directory = tempfile::tempdir().unwrap();
    let auth = json!({ "bearer": { "token_file": "/nowhere/token" } });
    let config = config(&directory, &auth);
    let line = ["explain", "--source", "prod", AKEYLESS];
    let report = explained(&line, Some(&config)).await.unwrap();
    let shown = serde_json::to_value(&report).unwrap();
    assert_eq!(shown["events"][0]["source"], "/sources/prod");
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_mends_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = config(&directory, &json!("none"));
    let broken = directory.path().join("broken.json");
    std::fs::write(
        &broken,
        r#"[{"event_type":"static-secret-updated","x":"do-not-leak"}]"#,
    )
    .unwrap();
    let broken = broken.to_str().unwrap();
    for (line, code, parts) in [
        (
            ["explain", "--source", "prod", AKEYLESS],
            2,
            &["--config"][..],
        ),
        (
            ["explain", "--format", "generic", AKEYLESS],
            2,
            &["`mapping.keys`", "--source NAME"],
        ),
        (
            ["explain", "--format", "akeyless", "/nowhere"],
            1,
            &["/nowhere", "No such file"],
        ),
        (
            ["explain", "--format", "akeyless", broken],
            1,
            &["element 0: item_name", "422 `malformed`"],
        ),
    ] {
        let (found, said) = said(explained(&line, None).await.err().unwrap());
        assert_eq!(found, code, "{said}");
        for part in parts {
            assert!(said.contains(part), "{part:?} is not in {said:?}");
        }
        assert!(!said.contains("do-not-leak"), "{said}");
    }
    let line = ["explain", "--source", "other", AKEYLESS];
    let (code, said) = said(explained(&line, Some(&file)).await.err().unwrap());
    assert_eq!(code, 2);
    assert!(said.contains("no source `other`; it has: prod"), "{said}");
}

#[tokio::test]
async fn a_sample_that_only_the_provider_can_prove_is_not_sent() {
    let directory = tempfile::tempdir().unwrap();
    let auth = json!({ "mtls": { "san": "a" } });
    let file = config(&directory, &auth);
    let yaml = std::fs::read_to_string(&file).unwrap();
    let tls = r#"{"tls":{"cert_file":"c","key_file":"k","client_ca_file":"a"},"#;
    std::fs::write(&file, yaml.replacen('{', tls, 1)).unwrap();
    let command = parse(&["sample", "--source", "prod", "--to", "http://127.0.0.1:1"]);
    let (code, said) = said(run(command, Some(&file), clock).await.err().unwrap());
    assert_eq!(code, 1);
    assert!(
        said.contains("source `prod`: auth mtls") && said.contains("curl --cert"),
        "{said}"
    );
}

#[tokio::test]
async fn an_address_without_an_ingress_is_named_without_the_secret_of_its_query() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "hunter2").unwrap();
    let auth = json!({ "header": { "query": "token", "value_file": secret } });
    let file = config(&directory, &auth);
    let command = parse(&["sample", "--source", "prod", "--to", "http://127.0.0.1:1/"]);
    let (_, said) = said(run(command, Some(&file), clock).await.err().unwrap());
    assert!(said.contains("http://127.0.0.1:1/v1/hooks/prod"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
