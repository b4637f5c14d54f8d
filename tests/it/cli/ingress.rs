//! The commands that `eso-relay` hands over, mostly to the ingress's binary.

use std::{fs, path::Path};

use eso_relay_lab::{
    daemon::{Binary, Daemon},
    installation::READY,
};
use serde_json::json;
use tempfile::TempDir;

use super::{Run, eso_relay, events_from};
use crate::nats::NatsServer;

const PAYLOAD: &str = r#"[
  { "event_id": 7, "event_type": "static-secret-updated", "item_name": "/prod/db" },
  { "event_id": 8, "event_type": "request-access", "item_name": "/prod/db" }
]"#;

/// Both binaries are beside each other, as they are installed.
async fn handed_over(server: &NatsServer, arguments: &str) -> Run {
    Binary::Ingress.path().await.unwrap();
    eso_relay(server, arguments).await
}

/// Sources whose secrets are beside the file.
fn sources(directory: &Path) -> String {
    let secret = directory.join("secret");
    fs::write(&secret, "hunter2\n").unwrap();
    let standard = directory.join("whsec");
    fs::write(&standard, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let (secret, standard) = (secret.display(), standard.display());
    format!(
        "sources:
  - {{ name: akeyless-prod, format: akeyless, auth: {{ basic: {{ username: eso, password_file: {secret} }} }} }}
  - {{ name: ci, format: generic, auth: {{ hmac-sha256: {{ header: X-Signature, secret_file: {secret} }} }}, mapping: {{ events: /records, keys: /secret/name, id: /uid }} }}
  - {{ name: infisical, format: infisical, auth: {{ hmac-sha256: {{ preset: infisical, secret_file: {secret} }} }} }}
  - {{ name: hooks, format: standard-webhooks, auth: {{ standard-webhooks: {{ secret_file: {standard} }} }}, mapping: {{ keys: /data/secret }} }}
"
    )
}

#[tokio::test]
async fn the_help_lists_them_and_each_has_help_of_its_own() {
    let server = NatsServer::start().await;
    let help = handed_over(&server, "--help").await.stdout;
    for command in ["sources", "explain", "matches"] {
        let line = help
            .lines()
            .find(|line| line.trim_start().starts_with(command));
        assert!(line.is_some_and(|line| line.len() > 30), "{help}");
        let run = handed_over(&server, &format!("{command} --help")).await;
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(run.stdout.contains("--output"), "{}", run.stdout);
    }
}

#[tokio::test]
async fn a_printed_configuration_is_one_that_the_ingress_accepts() {
    let server = NatsServer::start().await;
    let run = handed_over(&server, "sources akeyless").await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    let directory = TempDir::new().unwrap();
    let secret = directory.path().join("akeyless");
    fs::write(&secret, "hunter2").unwrap();
    let yaml = run
        .stdout
        .replace("/etc/eso-relay/akeyless/password", secret.to_str().unwrap());
    let file = directory.path().join("ingress.yaml");
    fs::write(&file, yaml).unwrap();
    let checked = tokio::process::Command::new(Binary::Ingress.path().await.unwrap())
        .arg("--config")
        .arg(&file)
        .arg("--check")
        .output()
        .await
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");

    let all = handed_over(&server, "sources -o json").await.json();
    let names = all["formats"].as_array().unwrap();
    assert!(
        names.iter().any(|format| format["name"] == "akeyless"),
        "{all}"
    );
    let run = handed_over(&server, "sources vault").await;
    assert_eq!(run.code, 2, "{}", run.stderr);
}

#[tokio::test]
async fn a_captured_payload_is_explained_and_nothing_is_sent() {
    let server = NatsServer::start().await;
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("payload.json");
    fs::write(&file, PAYLOAD).unwrap();
    let command = format!("explain --format akeyless {}", file.display());
    let explained = handed_over(&server, &format!("{command} --output json"))
        .await
        .json();
    assert_eq!(explained["authenticated"], false);
    assert_eq!(explained["events"][0]["id"], "7");
    assert_eq!(explained["events"][0]["data"]["keys"], json!(["/prod/db"]));
    assert_eq!(explained["ignored"][0]["element"], 1);
    let run = handed_over(&server, &command).await;
    assert!(
        run.stdout.contains("/prod/db") && run.stdout.contains("Nothing was authenticated"),
        "{}",
        run.stdout
    );

    fs::write(&file, "[{").unwrap();
    let run = handed_over(&server, &command).await;
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("400 `not_json`"), "{}", run.stderr);
}

#[tokio::test]
async fn the_sample_of_a_source_is_signed_with_its_secret_and_stands_in_the_stream() {
    let server = NatsServer::start().await;
    handed_over(&server, "init -o json").await.json();
    let directory = TempDir::new().unwrap();
    let sources = sources(directory.path());
    let file = directory.path().join("ingress.yaml");
    fs::write(&file, &sources).unwrap();
    let config = format!("nats: {{ url: \"{}\" }}\n{sources}", server.url());
    let mut ingress = Daemon::ingress().config(config).start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let mut accepted = Vec::new();
    for source in ["akeyless-prod", "ci", "infisical", "hooks"] {
        let answer = handed_over(
            &server,
            &format!(
                "send --sample --source {source} --config {} --to {} -o json",
                file.display(),
                ingress.url()
            ),
        )
        .await
        .json();
        assert_eq!(answer["status"], 202, "{source}");
        accepted.extend(answer["answer"]["accepted"].as_array().unwrap().clone());
    }
    let events = events_from(&server.jetstream().await, 1).await;
    let ids: Vec<_> = events.iter().map(|event| json!(event.id)).collect();
    assert_eq!(ids, accepted);

    // The path may be there already, as it is written for the sender.
    let whole = format!(
        "send --sample --source ci --config {} --to {}/v1/hooks/ci -o json",
        file.display(),
        ingress.url()
    );
    let answer = handed_over(&server, &whole).await.json();
    assert_eq!(answer["status"], 202, "{answer}");

    let wrong = directory.path().join("wrong.yaml");
    fs::write(
        &wrong,
        sources.replace("username: eso", "username: somebody"),
    )
    .unwrap();
    let command = format!(
        "send --sample --source akeyless-prod --config {} --to {}",
        wrong.display(),
        ingress.url()
    );
    let run = handed_over(&server, &command).await;
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("401"), "{}", run.stderr);
}

#[tokio::test]
async fn without_the_other_binary_the_message_says_how_to_get_it() {
    let directory = TempDir::new().unwrap();
    let alone = directory.path().join("eso-relay");
    // By another process: a child that is started just now would hold our copy open for writing, and the
    // system starts no such file ("Text file busy").
    let copy = std::process::Command::new("cp")
        .args([env!("CARGO_BIN_EXE_eso-relay").as_ref(), alone.as_path()])
        .status();
    assert!(copy.unwrap().success());
    for (command, folder) in [("sources", "ingress"), ("matches", "consumer")] {
        let output = tokio::process::Command::new(&alone)
            .arg(command)
            .env("PATH", directory.path())
            .output()
            .await
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for part in [
            format!("eso-relay-{folder}"),
            format!("cargo install --path {folder}"),
        ] {
            assert!(said.contains(&part), "{part}: {said}");
        }
    }
}
