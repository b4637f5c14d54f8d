//! `eso-relay matches`, which it hands over to the consumer's binary: no stream is there at all.

use std::{ffi::OsStr, fs, path::Path};

use eso_relay_lab::{
    cluster::{cluster_store, create_all, create_namespace, external_secret, store},
    daemon::Binary,
    installation::Cluster,
    standin::On,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::Run;

const PAYLOAD: &str =
    r#"[{ "event_id": 7, "event_type": "static-secret-updated", "item_name": "/prod/db" }]"#;

/// `db` reads `/prod/db` from Akeyless; `web` another key of it, and the same key from AWS.
async fn cluster() -> Cluster {
    Binary::Consumer.path().await.unwrap();
    let cluster = Cluster::stand_in("east").await.unwrap();
    let client = cluster.client();
    for namespace in ["team-a", "team-b"] {
        create_namespace(client, namespace).await.unwrap();
    }
    let stores = [
        store("akeyless").in_namespace("team-a").akeyless(),
        cluster_store("aws").provider(json!({ "aws": {
            "service": "SecretsManager", "region": "eu-west-1",
        } })),
    ];
    create_all(client, stores, 2).await.unwrap();
    let objects = [
        external_secret("db")
            .in_namespace("team-a")
            .from_store("akeyless")
            .key("prod/db"),
        external_secret("web")
            .in_namespace("team-a")
            .from_store("akeyless")
            .key("/prod/web")
            .extract("/prod/db")
            .cluster_source_ref("aws"),
        external_secret("aws")
            .in_namespace("team-b")
            .cluster_store("aws")
            .key("/prod/db"),
    ];
    create_all(client, objects, 2).await.unwrap();
    cluster
}

async fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_eso-relay"))
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

async fn matches(kubeconfig: &Path, arguments: &str) -> Run {
    let line = format!("matches --kubeconfig {} {arguments}", kubeconfig.display());
    run(line.split_whitespace()).await
}

/// `NAMESPACE/NAME` of each.
fn names(report: &Value) -> Vec<String> {
    let matches = report["events"][0]["matches"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    matches
        .iter()
        .map(|object| format!("{}/{}", text(&object["namespace"]), text(&object["name"])))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_event_would_refresh_is_listed_and_nothing_is_changed() {
    let cluster = cluster().await;
    let kubeconfig = cluster.kubeconfig();
    for (arguments, expected) in [
        (
            "--key /prod/db",
            &["team-a/db", "team-a/web", "team-b/aws"][..],
        ),
        ("--key /prod/db -n team-a", &["team-a/db", "team-a/web"]),
        ("--key /prod/db --in team-b", &["team-b/aws"]),
        ("--key /prod/db --provider akeyless", &["team-a/db"]),
        (
            "--prefix /prod --store SecretStore/*",
            &["team-a/db", "team-a/web"],
        ),
        (
            "--provider aws-sm --scope region=eu-west-1",
            &["team-a/web", "team-b/aws"],
        ),
        // Perhaps a replica of it.
        (
            "--provider aws-sm --key /prod/db --scope region=us-east-1",
            &["team-a/web", "team-b/aws"],
        ),
        ("--provider aws-sm --scope region=us-east-1", &[]),
        ("--all", &["team-a/db", "team-a/web", "team-b/aws"]),
    ] {
        let report = matches(kubeconfig, &format!("{arguments} -o json")).await;
        assert_eq!(names(&report.json()), expected, "{arguments}");
    }
    let table = matches(kubeconfig, "--key /prod/db").await;
    let line = table.stdout.lines().nth(1).unwrap_or_default();
    let cells: Vec<_> = line.split_whitespace().collect();
    assert_eq!(
        cells,
        [
            "team-a",
            "db",
            "SecretStore/akeyless",
            "akeyless",
            "prod/db"
        ],
        "{}",
        table.stdout
    );
    for (namespace, name) in [("team-a", "db"), ("team-a", "web"), ("team-b", "aws")] {
        assert_eq!(cluster.refresh_of(namespace, name).await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_asked_about_is_told_why_it_was_not_meant() {
    let cluster = cluster().await;
    let said = matches(
        cluster.kubeconfig(),
        "--provider akeyless --key /prod/none --object team-a/web --object team-a/gone",
    )
    .await;
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(said.stderr, "None of 3 ExternalSecrets matches.\n");
    for part in [
        "team-a/web does not match.",
        "/prod/web  the event is about another secret",
        "/prod/db   the event is about akeyless",
        "team-a/gone does not exist",
    ] {
        assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
    }
    let said = matches(
        cluster.kubeconfig(),
        "--provider aws-sm --scope region=us-east-1 --object team-b/aws",
    )
    .await;
    assert!(
        said.stdout.contains("it is not in region=us-east-1"),
        "{}",
        said.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_several_pages_is_read_to_its_end() {
    let cluster = cluster().await;
    let many = (0..1001).map(|number| {
        external_secret(&format!("many-{number}"))
            .in_namespace("team-a")
            .from_store("akeyless")
            .key("/many")
    });
    create_all(cluster.client(), many, 8).await.unwrap();
    let report = matches(cluster.kubeconfig(), "--key many -o json").await;
    let report = report.json();
    assert_eq!(report["external_secrets"], 1004);
    assert_eq!(names(&report).len(), 1001);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_explain_prints_is_an_event_to_match() {
    let cluster = cluster().await;
    Binary::Ingress.path().await.unwrap();
    let directory = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let payload = file("payload.json", PAYLOAD);
    let explained = run(["explain", "--format", "akeyless", &payload, "-o", "json"]).await;
    let events = file("events.json", &explained.stdout);
    let config = "cluster: east\nkubernetes: { namespaces: [team-a] }\n";
    let config = file("consumer.yaml", config);
    let arguments = format!("--event {events} --config {config} --object team-b/aws -o json");
    let report = matches(cluster.kubeconfig(), &arguments).await.json();
    assert_eq!(report["cluster"], "east");
    assert_eq!(names(&report), ["team-a/db"]);
    assert_eq!(report["events"][0]["event"]["id"], "7");
    assert_eq!(report["events"][0]["objects"][0]["state"], "not_looked_at");

    let broken = file("broken.json", r#"{ "item_name": "hunter2" }"#);
    let said = matches(cluster.kubeconfig(), &format!("--event {broken}")).await;
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("element 0"), "{}", said.stderr);
    assert!(!said.stderr.contains("hunter2"), "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_seen_is_said() {
    const USER: &str = "system:serviceaccount:team-a:reader";
    let cluster = cluster().await;
    let faults = cluster.as_stand_in().unwrap().faults();
    faults.deny(On::any().by_token(USER).across_namespaces());
    let kubeconfig = cluster.kubeconfig_as(USER).unwrap();
    let said = matches(&kubeconfig, "--key /prod/db").await;
    assert_eq!(said.code, 1);
    assert!(
        said.stderr
            .contains("cannot list ExternalSecrets in all namespaces"),
        "{}",
        said.stderr
    );
    let said = matches(
        &kubeconfig,
        "--provider akeyless --key /prod/db --in team-a",
    )
    .await;
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(
        said.stderr
            .contains("No permission to list clustersecretstores"),
        "{}",
        said.stderr
    );
    // It may be of any provider.
    assert!(
        said.stdout.contains("ClusterSecretStore/aws"),
        "{}",
        said.stdout
    );
}

#[tokio::test]
async fn a_context_that_is_not_there_is_named() {
    Binary::Consumer.path().await.unwrap();
    let directory = TempDir::new().unwrap();
    let kubeconfig = directory.path().join("config");
    fs::write(&kubeconfig, "apiVersion: v1\nkind: Config\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_eso-relay"))
        .args(["matches", "--key", "a", "--context", "esat"])
        .env("KUBECONFIG", &kubeconfig)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot use context `esat`"), "{said}");
}
