//! Printed commands of `eso-relay`: all of them are parsed, and the everyday ones are run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use eso_relay::stream::{DeadLetter, Reason};
use eso_relay_lab::{
    daemon::{Binary, Daemon},
    installation::{Cluster, READY},
};
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

use super::{blocks, documents, read};
use crate::{
    cli::{event, slug},
    consuming::Consuming,
};

/// Programs that the pages print and that do not run here: they need pods or a container engine, fetch from
/// the internet, or take minutes; `chart/documented.rs` renders what `helm` would install. Pages of `docs/providers/` print the senders' own programs besides.
const NOT_RUN: [&str; 16] = [
    "base64",
    "bash",
    "cargo",
    "cosign",
    "crane",
    "curl",
    "deploy/image",
    "docker",
    "fuzz/run",
    "gh",
    "helm",
    "jq",
    "kubectl",
    "promtool",
    "rustup",
    "sha256sum",
];

/// What a reader replaces, or answers at the terminal.
fn filled_in(line: &str, ingress: &str, event: &str) -> String {
    let replaced = [
        ("https://relay.example", ingress),
        ("EVENT", event),
        // One server, with a small disk.
        ("--replicas 3 ", ""),
        ("10GiB", "64MiB"),
        // The question `replay` asks.
        ("--since 2h ", "--since 2h --yes "),
    ];
    replaced
        .into_iter()
        .fold(line.to_owned(), |line, (from, to)| line.replace(from, to))
}

/// The lines of a shell block; one that ends with a backslash goes on in the next.
fn lines(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    joined
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// The simple commands of a line, word by word, without comments.
fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let (mut word, mut quote) = (String::new(), None);
    // Within `$(…)`, which stays a part of its word.
    let mut depth = 0;
    for letter in line.chars() {
        if quote.is_none() && matches!(letter, '(' | ')') {
            depth += if letter == '(' { 1 } else { -1 };
        }
        match (quote, letter) {
            (None, _) if depth > 0 => word.push(letter),
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None, '#') if word.is_empty() => break,
            (None, ' ' | '|' | '&' | ';') => {
                if !word.is_empty() {
                    let command = commands.last_mut().unwrap();
                    command.push(std::mem::take(&mut word));
                }
                if letter != ' ' {
                    commands.push(Vec::new());
                }
            }
            _ => word.push(letter),
        }
    }
    if !word.is_empty() {
        commands.last_mut().unwrap().push(word);
    }
    commands.retain(|command| !command.is_empty());
    commands
}

/// The program of a simple command, after variables that are set for it.
fn program(command: &[String]) -> &str {
    let is_variable = |word: &&String| {
        let name = word.split_once('=').map_or("", |(name, _)| name);
        !name.is_empty() && name.chars().all(|it| it == '_' || it.is_ascii_uppercase())
    };
    let program = command.iter().find(|word| !is_variable(word));
    program.map_or("", String::as_str)
}

/// The arguments of `eso-relay`, also within `kubectl exec … --` and `docker compose run --rm cli`.
fn arguments(command: &[String]) -> Option<&[String]> {
    let before: &[&str] = match program(command) {
        "eso-relay" => &["eso-relay"],
        "kubectl" => &["--", "eso-relay"],
        "docker" => &["run", "--rm", "cli"],
        _ => return None,
    };
    let at = command.windows(before.len()).position(|it| it == before)?;
    Some(&command[at + before.len()..])
}

async fn binaries() -> PathBuf {
    Binary::Ingress.path().await.unwrap();
    Binary::Consumer.path().await.unwrap();
    let cli = Binary::Cli.path().await.unwrap();
    cli.parent().unwrap().to_owned()
}

/// As it ends where nothing is: no server, no cluster, no file. It must not be the command line's fault.
async fn parsed(folder: &Path, arguments: &[String]) -> Output {
    const NOWHERE: &str = "nats://127.0.0.1:1";
    let mut arguments = arguments.to_vec();
    for at in 1..arguments.len() {
        match arguments[at - 1].as_str() {
            "--nats" => NOWHERE.clone_into(&mut arguments[at]),
            "--to" => {
                arguments[at] =
                    arguments[at].replace("https://relay.example", "http://127.0.0.1:1");
            }
            _ => {}
        }
    }
    // Without a terminal it cannot ask.
    let asks = arguments
        .iter()
        .any(|it| it == "replay" || it == "--remove-cluster");
    if asks && !arguments.iter().any(|it| it == "--yes") {
        arguments.push("--yes".to_owned());
    }
    let run = Command::new(folder.join("eso-relay"))
        .args(arguments)
        .env("ESO_RELAY__NATS__URL", NOWHERE)
        .env("KUBECONFIG", "/nowhere")
        .stdin(std::process::Stdio::null())
        .output();
    timeout(READY, run).await.unwrap().unwrap()
}

#[tokio::test]
async fn every_printed_command_is_parsed() {
    let folder = binaries().await;
    let mut known = 0;
    for (file, document) in documents() {
        for line in blocks(&document, "sh")
            .iter()
            .flat_map(|block| lines(block))
        {
            for command in simple_commands(&line) {
                let Some(arguments) = arguments(&command) else {
                    let program = program(&command);
                    let is_known = NOT_RUN.contains(&program)
                        || ["export", ""].contains(&program)
                        || file.starts_with("docs/providers/");
                    assert!(
                        is_known,
                        "{file}: {program}, which is neither run nor listed: {line}"
                    );
                    continue;
                };
                let output = parsed(&folder, arguments).await;
                let said = String::from_utf8_lossy(&output.stderr);
                assert_ne!(output.status.code(), Some(2), "{file}: {line}\n{said}");
                known += 1;
            }
        }
    }
    assert!(known >= 45, "{known}");
}

/// In the text they may be incomplete; their options and commands are known all the same.
#[tokio::test]
async fn every_command_in_the_text_is_known() {
    let folder = binaries().await;
    for (file, document) in documents() {
        for rest in document.split("`eso-relay ").skip(1) {
            let text = rest.split('`').next().unwrap();
            // What a daemon says.
            if text.starts_with("needs ") || text.ends_with('…') {
                continue;
            }
            let mut words = simple_commands(text).remove(0);
            for word in &mut words {
                if ["NAME", "FORMAT"].contains(&word.as_str()) {
                    "akeyless".clone_into(word);
                }
            }
            let output = Command::new(folder.join("eso-relay"))
                .args(words)
                .arg("--help")
                .output()
                .await
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{file}: {text}\n{said}");
        }
    }
}

/// What the commands of a page find: NATS, a cluster, an ingress, and the files that they name.
struct Place {
    relay: Consuming,
    ingress: Daemon,
    _consumer: Daemon,
    folder: TempDir,
    /// That `trace` is asked for.
    event: String,
}

impl Place {
    async fn new() -> Self {
        let cluster = Cluster::stand_in("east").await.unwrap();
        let relay = Consuming::on(cluster, &["db"]).await;
        let consumer = relay.consumer("").await;
        let folder = TempDir::new().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            file
        };
        let secret = write("secret", "hunter2").display().to_string();
        write("operator-password", "change-me");
        let sources = format!(
            "sources:
  - {{ name: akeyless-prod, format: akeyless, auth: {{ basic: {{ username: eso, password_file: {secret} }} }} }}
  - {{ name: doppler, format: doppler, auth: {{ hmac-sha256: {{ preset: doppler, secret_file: {secret} }} }} }}
"
        );
        write("ingress.yaml", &sources);
        write("consumer.yaml", "cluster: east\n");
        write(
            "payload.json",
            &read("ingress/src/source/fixtures/doppler-diff.json"),
        );
        let an_event = event("1", "/prod/db", None);
        let body = eso_relay::event::encode(&an_event);
        write("event.json", std::str::from_utf8(&body).unwrap());
        let kubeconfig = fs::read_to_string(relay.cluster.kubeconfig()).unwrap();
        write("kubeconfig", &kubeconfig.replace("stand-in", "east"));

        let letter = DeadLetter {
            reason: Reason::Refused,
            error: "413".to_owned(),
            cluster: slug("east"),
            source: an_event.source,
            attempts: 1,
            stream_sequence: 1000,
            gap: None,
            index: Some(0),
            subject: "eso-relay.events.v1.akeyless.prod".to_owned(),
            body,
        };
        let (subject, headers) = (letter.subject(), letter.headers());
        let sent = relay
            .jetstream
            .publish_with_headers(subject, headers, letter.body);
        sent.await.unwrap().await.unwrap();

        let config = format!("nats: {{ url: '{}' }}\n{sources}", relay.hub.url());
        let mut ingress = Daemon::ingress().config(config).start().await.unwrap();
        ingress.wait_ready(READY).await.unwrap();
        let event = relay.publish(&["/prod/db"]).await.remove(0);
        relay.carries("db", &event).await;
        Self {
            relay,
            ingress,
            _consumer: consumer,
            folder,
            event,
        }
    }

    /// Runs what of a block runs here, in one shell; how many lines that were.
    async fn run(&self, page: &str, block: &str) -> usize {
        let runs = |line: &String| {
            let commands = simple_commands(line);
            commands
                .iter()
                .all(|command| ["eso-relay", "export"].contains(&program(command)))
        };
        let lines: Vec<_> = lines(block).into_iter().filter(runs).collect();
        let filled = lines
            .iter()
            .map(|line| filled_in(line, &self.ingress.url(), &self.event));
        let script = filled.collect::<Vec<_>>().join("\n");
        let path = format!(
            "{}:{}",
            binaries().await.display(),
            std::env::var("PATH").unwrap()
        );
        let bash = Command::new("bash")
            .args(["-exo", "pipefail", "-c", &script])
            .current_dir(self.folder.path())
            .env("PATH", path)
            .env("ESO_RELAY__NATS__URL", self.relay.hub.url())
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .stdin(std::process::Stdio::null())
            .output();
        let output = timeout(Duration::from_secs(120), bash).await;
        let output = output.unwrap_or_else(|_| panic!("{page}: does not end:\n{script}"));
        let output = output.unwrap();
        let (said, errors) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{page}:\n{said}\n{errors}");
        lines.len()
    }
}

async fn run_all(page: &str) -> usize {
    let place = Place::new().await;
    let mut run = 0;
    for block in blocks(&read(page), "sh") {
        run += place.run(page, &block).await;
    }
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_readme_run() {
    let run = run_all("README.md").await;
    assert!(run >= 12, "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_operations_run() {
    let run = run_all("docs/operations.md").await;
    assert!(run >= 25, "{run}");
}
