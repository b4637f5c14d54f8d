//! docker-compose.yml: every command, path, port and variable, with the real programs in place of containers.

use std::{collections::BTreeMap, process::Command};

use eso_relay_lab::{
    daemon::{Binary, Daemon},
    installation::{BASIC_PASSWORD, BASIC_USER, READY, Webhooks},
    nats_server::obtain,
    port,
    process::Process,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::docs::{path, read};

/// What a user sets: docs/install.md.
const SET: [(&str, &str); 2] = [("BASIC_AUTH_PASSWORD", BASIC_PASSWORD), ("CLUSTER", "west")];
const OF_IMAGE: &str = "/usr/local/bin/";
const PORT_OF_NATS: &str = "4222";

/// The file as compose reads it, with these variables set and the others at their defaults.
fn project(variables: &[(&str, &str)]) -> Value {
    let mut text = String::new();
    let file = read("docker-compose.yml");
    let mut rest = file.as_str();
    while let Some((before, after)) = rest.split_once("${") {
        let (variable, after) = after.split_once('}').unwrap();
        let (name, default) = variable.split_once(":-").unwrap();
        let set = variables.iter().find(|(set, _)| *set == name);
        text.push_str(before);
        text.push_str(set.map_or(default, |(_, value)| value));
        rest = after;
    }
    text.push_str(rest);
    serde_saphyr::from_str(&text).unwrap()
}

fn words(value: &Value) -> Vec<String> {
    let list = value.as_array().unwrap();
    list.iter()
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}

/// Where a path of the container is on this machine.
fn mounted(service: &Value, inside: &str) -> String {
    let volumes = words(&service["volumes"]);
    let mut sources = volumes.iter().filter_map(|volume| {
        let mut parts = volume.split(':');
        let source = parts.next()?;
        (parts.next()? == inside).then_some(source)
    });
    sources
        .next()
        .unwrap_or_else(|| panic!("{inside} is not mounted"))
        .to_owned()
}

/// The variables of a service, with the address of NATS on this machine.
fn environment(service: &Value, nats: &str) -> BTreeMap<String, String> {
    let variables = service["environment"].as_object().unwrap();
    let value = |value: &Value| {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        text.replace(&format!("nats:{PORT_OF_NATS}"), nats)
    };
    variables
        .iter()
        .map(|(name, it)| (name.clone(), value(it)))
        .collect()
}

/// Runs a program of the image to its end: its words.
async fn run(words: &[String], environment: &BTreeMap<String, String>) -> String {
    let name = words[0].strip_prefix(OF_IMAGE).unwrap();
    let program = Binary::Cli.path().await.unwrap().with_file_name(name);
    let output = tokio::process::Command::new(program)
        .args(&words[1..])
        .envs(environment)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The settings of a daemon of the file, which is given no configuration but its variables.
async fn settings(service: &Value) -> Value {
    let mut check = words(&service["command"]);
    check.push("--check".to_owned());
    let said = run(&check, &environment(service, "nats:4222")).await;
    serde_json::from_str(&said).unwrap()
}

/// The ports that are published, as the container knows them. No other machine reaches any.
fn published(service: &Value) -> Vec<String> {
    let port = |it: String| {
        let inside = it.strip_prefix("127.0.0.1:").unwrap().split_once(':');
        inside.unwrap().1.to_owned()
    };
    words(&service["ports"]).into_iter().map(port).collect()
}

/// nats-server with the file's own configuration, on ports and a disk of the test.
struct Nats {
    process: Process,
    address: String,
    monitor_port: u16,
    _dir: TempDir,
}

impl Nats {
    async fn start(service: &Value) -> Self {
        let (dir, port, monitor_port) = (
            tempfile::tempdir().unwrap(),
            port::free().unwrap(),
            port::free().unwrap(),
        );
        let mut command = Command::new(obtain().await.unwrap());
        let configuration = dir.path().join("nats.conf");
        let store = dir.path().join("store").display().to_string();
        for word in words(&service["command"]) {
            if word.starts_with('/') {
                let text = read(&mounted(service, &word));
                let text = text.replace(store_of(&text), &store);
                std::fs::write(&configuration, text).unwrap();
                command.arg(&configuration);
            } else {
                command.arg(word);
            }
        }
        command.args([
            "--port",
            &port.to_string(),
            "--http_port",
            &monitor_port.to_string(),
        ]);
        Self {
            process: Process::spawn("nats-server", command, &dir.path().join("log")).unwrap(),
            address: format!("127.0.0.1:{port}"),
            monitor_port,
            _dir: dir,
        }
    }

    /// Asks as the health check does, which the port of the configuration answers.
    async fn wait_healthy(&mut self, service: &Value) {
        let test = words(&service["healthcheck"]["test"]);
        assert_eq!(test[..3], ["CMD", "wget", "-qO-"]);
        let configuration = read("deploy/compose/nats.conf");
        let port = value_of(&configuration, "http");
        let (host, rest) = test[3].split_once(&format!(":{port}/")).unwrap();
        let url = format!("{host}:{}/{rest}", self.monitor_port);
        let healthy = || async { reqwest::get(&url).await?.error_for_status() };
        let healthy = self.process.wait_until("its health check", READY, healthy);
        healthy.await.unwrap();
    }

    async fn settings(&self) -> Value {
        let url = format!("http://127.0.0.1:{}/varz", self.monitor_port);
        reqwest::get(url).await.unwrap().json().await.unwrap()
    }
}

/// The value of a setting of nats-server's.
fn value_of<'a>(configuration: &'a str, setting: &str) -> &'a str {
    let mut lines = configuration.lines().map(str::trim);
    let value = lines.find_map(|line| line.strip_prefix(setting)?.strip_prefix(": "));
    value.unwrap_or_else(|| panic!("no {setting}"))
}

fn store_of(configuration: &str) -> &str {
    value_of(configuration, "store_dir")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_of_the_compose_file_takes_a_webhook() {
    eso_relay::nats::install_crypto();
    let project = project(&SET);
    let services = &project["services"];
    let mut nats = Nats::start(&services["nats"]).await;
    nats.wait_healthy(&services["nats"]).await;
    let jetstream = &nats.settings().await["jetstream"]["config"];
    assert_eq!(jetstream["sync_always"], true, "{jetstream}");

    let init = &services["init"];
    run(&words(&init["command"]), &environment(init, &nats.address)).await;

    let mut ingress = Daemon::ingress();
    for (name, value) in environment(&services["ingress"], &nats.address) {
        ingress = ingress.env(name, value);
    }
    let mut ingress = ingress.start().await.unwrap();
    ingress.wait_ready(READY).await.unwrap();
    let answer = Webhooks::to(&ingress.url())
        .updated(&["/prod/db"])
        .await
        .unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);

    let cli = &services["cli"];
    let mut status = words(&cli["entrypoint"]);
    status.extend(["--output", "json", "status"].map(str::to_owned));
    let seen: Value =
        serde_json::from_str(&run(&status, &environment(cli, &nats.address)).await).unwrap();
    let cluster = seen["clusters"].as_array().unwrap();
    assert_eq!(cluster.len(), 1, "{seen}");
    assert_eq!(cluster[0]["cluster"], "west", "{seen}");
}

#[tokio::test]
async fn the_daemons_of_the_compose_file_listen_where_it_publishes() {
    let project = project(&SET);
    let ingress = &project["services"]["ingress"];
    let known = settings(ingress).await;
    let listens = [&known["listen"], &known["admin"]["listen"]];
    let listens = listens.map(|it| it.as_str().unwrap().rsplit(':').next().unwrap().to_owned());
    assert_eq!(published(ingress), listens);
    assert_eq!(published(&project["services"]["nats"]), [PORT_OF_NATS]);
    assert_eq!(known["webhook"]["username"], BASIC_USER, "{known}");
}

#[tokio::test]
async fn the_consumer_of_the_compose_file_finds_its_kubeconfig_and_its_cluster() {
    let project = project(&[("KUBECONFIG", "/home/me/.kube/config"), SET[1]]);
    let consumer = &project["services"]["consumer"];
    let known = settings(consumer).await;
    let kubeconfig = known["kubernetes"]["kubeconfig"].as_str().unwrap();
    assert_eq!(mounted(consumer, kubeconfig), "/home/me/.kube/config");
    let declared = words(&project["services"]["init"]["command"]);
    assert_eq!(declared[1..], ["init", "--cluster", "west"]);
    assert_eq!(known["cluster"], "west");
}

#[tokio::test]
async fn containers_are_given_longer_to_stop_than_the_daemons_take() {
    let project = project(&[]);
    for name in ["ingress", "consumer"] {
        let service = &project["services"][name];
        let seconds = |value: &Value| -> u64 {
            let text = value.as_str().unwrap();
            text.strip_suffix('s').unwrap().parse().unwrap()
        };
        let grace = settings(service).await["shutdown"]["grace"].clone();
        assert!(
            seconds(&service["stop_grace_period"]) >= seconds(&grace) + 5,
            "{name}: {grace}"
        );
    }
}

#[test]
fn what_the_compose_file_names_exists() {
    let project = project(&[]);
    let services = project["services"].as_object().unwrap();
    for (name, service) in services {
        for waited_for in service["depends_on"]
            .as_object()
            .into_iter()
            .flat_map(|it| it.keys())
        {
            assert!(services.contains_key(waited_for), "{name}: {waited_for}");
        }
        if name == "nats" {
            continue;
        }
        let file = service["build"]["dockerfile"].as_str().unwrap();
        assert!(path(file).is_file(), "{name}: {file}");
        assert_eq!(
            service["image"], project["services"]["init"]["image"],
            "{name}"
        );
    }
    // The server writes to the volume, which outlives its container.
    let nats = &services["nats"];
    let configuration = read("deploy/compose/nats.conf");
    let volume = mounted(nats, store_of(&configuration));
    assert_eq!(project["volumes"], json!({ volume: {} }));
}

/// The page shows each variable, so that a reader need not open the file.
#[test]
fn every_variable_of_the_compose_file_is_in_the_installation_guide() {
    let (file, guide) = (read("docker-compose.yml"), read("docs/install.md"));
    let guide = guide.split("## Docker compose").nth(1).unwrap();
    let mut variables = 0;
    for rest in file.split("${").skip(1) {
        let name = rest.split(":-").next().unwrap();
        assert!(
            guide.contains(&format!("{name}=")) || guide.contains(&format!("`{name}`")),
            "{name}"
        );
        variables += 1;
    }
    assert!(variables >= 5, "{variables}");
}
